"""The auditor: checks guarantees 1 to 5 over all that was run, sharing no code with what it judges.

It knows the services' tables and what orders, events and effects are called, and reads everything else for itself: the
databases, the mails, and Temporal's histories as the server recorded them.
"""

from lab.audit.auditor import audit
from lab.audit.report import Act, AuditReport, Violation

__all__ = ["Act", "AuditReport", "Violation", "audit"]

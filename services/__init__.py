"""The services as the rest of the system sees them: what each can be asked to do, and how it is tried. No code of theirs."""

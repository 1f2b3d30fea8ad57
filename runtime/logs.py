"""Structured logs on standard error: for people on a terminal, JSON lines otherwise."""

import logging
import sys

import structlog

from runtime.printable import printable

_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _printable_values(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """What is logged may come from others, and a terminal would obey it; JSON escapes it by itself."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}


def configure_logs(level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's records through one renderer.

    `workflow.logger` and `activity.logger` are standard loggers that are silent on replay; their context (workflow id,
    attempt, …) arrives as `extra` and becomes fields here.

    Args:
        level: the lowest level that is written.
    """
    terminal = sys.stderr is not None and sys.stderr.isatty()  # None: closed before we began
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(default=str)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _printable_values if terminal else structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )

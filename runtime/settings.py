"""Settings: the environment variables that orderlab reads itself, and the paths under its data directory.

Temporal's own variables (`TEMPORAL_ADDRESS`, `TEMPORAL_PROFILE`, …) are read by `server.connect`.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from runtime.directories import check_directory
from runtime.errors import InputError

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout."""

SHIPPED_ORDERS = PROJECT / "data" / "online_retail_10k.csv"
"""The real orders that the project ships."""


def _named(directory: object) -> object:
    if isinstance(directory, str) and not directory.strip():  # as a path, it would be the current directory
        raise ValueError("it is empty: name a directory, such as .orderlab")
    return directory


class Settings(BaseSettings):
    """Where things are; each field can be set by an environment variable with the prefix `ORDERLAB_`."""

    model_config = SettingsConfigDict(env_prefix="ORDERLAB_", frozen=True)

    data: Annotated[Path, BeforeValidator(_named)] = Path(".orderlab")
    """Holds all that a lab stores: server database, service databases, mails, logs (`--data` wins over it)."""
    smtp_url: str | None = None
    """`smtp://[user:password@]host:port` or `smtps://…` of a real mail server; without it the embedded one is used."""
    mail_from: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*[^\s@]@[^\s@\x00-\x1f\x7f]+$", max_length=320)] = (
        "shop@orderlab.example"
    )
    """Sender of the mails to customers."""
    customer_mail_domain: Annotated[str, Field(pattern=r"^[^\s@\x00-\x1f]+$", max_length=135)] = "customers.example"
    """The data set has no mail addresses: customer 17850 is written to at 17850@ this domain.

    An address has 200 characters at most, of which 64 may be the customer's number.
    """
    lab: Annotated[str | None, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)] = None
    """Suffix of the task queues; unset, it is empty on our own server and derived from `data` on a shared one."""
    shipping_db_url: str | None = None
    """SQLAlchemy URL of the service's database; without it, a SQLite file under `data`."""
    invoicing_db_url: str | None = None
    """As `shipping_db_url`."""
    marketing_db_url: str | None = None
    """As `shipping_db_url`."""
    analytics_db_url: str | None = None
    """As `shipping_db_url`."""
    ui_url: str | None = None
    """Where the UI of a server named by the user is; unset, links are shown for our own server and the Cloud only."""
    server_wait_s: float = Field(default=30, gt=0, le=86_400)
    """How long to wait for a Temporal server to answer."""

    def database_url(self, service: str) -> URL | str:
        """The SQLAlchemy URL of a service's own database: as it was given, or of a file under `data`.

        No text in the second case, in which a `?` in the directory's name would begin the URL's query.
        """
        given: str | None = getattr(self, f"{service}_db_url", None)
        return given or URL.create("sqlite", database=str((self.data / "services" / f"{service}.db").resolve()))

    def keeps_under_data(self, service: str) -> bool:
        """Whether a service's database is a file under `data`."""
        return not getattr(self, f"{service}_db_url", None)

    @property
    def names_a_database(self) -> bool:
        """Whether a service's database is the user's own, so that a lab may be there without its data directory."""
        return any(getattr(self, name) for name in type(self).model_fields if name.endswith("_db_url"))

    @property
    def keeps_all_under_data(self) -> bool:
        """Whether all that services write to is under `data`, so that a second lab beside this one is kept apart."""
        given = (
            self.smtp_url,
            self.shipping_db_url,
            self.invoicing_db_url,
            self.marketing_db_url,
            self.analytics_db_url,
        )
        return all(url is None for url in given)

    def beside(self, lab: str) -> "Settings":
        """The settings of a second lab on the same server, with databases, mails and logs of its own."""
        return self.model_copy(update={"data": self.data / lab})

    @property
    def mail_dir(self) -> Path:
        """Where the embedded mail server keeps what it received."""
        return self.data / "mail"

    @property
    def log_dir(self) -> Path:
        """Where the processes started by `orderlab up` log to."""
        return self.data / "logs"

    @classmethod
    def at(cls, data: str | Path | None) -> "Settings":
        """The settings of the environment, for the data directory `data` where one is given.

        Raises:
            InputError: a variable has a value that can't be used, or the data directory can be none.
        """
        given: dict[str, Any] = {} if data is None else {"data": data}
        try:
            settings = cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0])
            named = "--data" if field in given else f"ORDERLAB_{field.upper()}"
            raise InputError(f"{named}: {first['msg'].removeprefix('Value error, ')}") from error
        check_directory(settings.data)
        return settings

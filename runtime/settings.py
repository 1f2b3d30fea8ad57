"""Settings: the environment variables that orderlab reads itself, and the paths under its data directory.

Temporal's own variables (`TEMPORAL_ADDRESS`, `TEMPORAL_PROFILE`, …) are read by `server.connect`.
"""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from runtime.errors import InputError

PROJECT = Path(__file__).resolve().parent.parent
"""The checkout."""

SHIPPED_ORDERS = PROJECT / "data" / "online_retail_10k.csv"
"""The real orders that the project ships."""


class Settings(BaseSettings):
    """Where things are; each field can be set by an environment variable with the prefix `ORDERLAB_`."""

    model_config = SettingsConfigDict(env_prefix="ORDERLAB_", frozen=True)

    data: Path = Path(".orderlab")
    """Holds all that a lab stores: server database, service databases, mails, logs (`--data` wins over it)."""
    smtp_url: str | None = None
    """`smtp://[user:password@]host:port` or `smtps://…` of a real mail server; without it the embedded one is used."""
    mail_from: str = "shop@orderlab.example"
    """Sender of the mails to customers."""
    customer_mail_domain: str = "customers.example"
    """The data set has no mail addresses: customer 17850 is written to at 17850@ this domain."""
    lab: str | None = None
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
    server_wait_s: float = Field(default=30, gt=0)
    """How long to wait for a Temporal server to answer."""

    def database_url(self, service: str) -> URL | str:
        """The SQLAlchemy URL of a service's own database: as it was given, or of a file under `data`.

        No text in the second case, in which a `?` in the directory's name would begin the URL's query.
        """
        given: str | None = getattr(self, f"{service}_db_url", None)
        return given or URL.create("sqlite", database=str((self.data / "services" / f"{service}.db").resolve()))

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
    def at(cls, data: Path | None) -> "Settings":
        """The settings of the environment, for the data directory `data` where one is given.

        Raises:
            InputError: a variable has a value that can't be used, or the data directory is a file.
        """
        try:
            settings = cls() if data is None else cls(data=data)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"ORDERLAB_{str(first['loc'][0]).upper()}: {first['msg']}") from error
        try:
            is_taken = settings.data.exists() and not settings.data.is_dir()
        except OSError as error:  # a name too long for a file
            raise InputError(f"no data directory: {error.strerror}; choose another --data") from error
        if is_taken:
            raise InputError(f"the data directory {settings.data} is a file; choose another --data")
        return settings

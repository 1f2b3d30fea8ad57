"""The embedded mail server, spoken to by SMTP."""

import shutil
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from runtime.errors import ExitCode
from server.mail import MailServer, wait_until_mail_is_taken
from server.ports import LOOPBACK, free_port


@pytest.fixture
def mails(tmp_path: Path) -> Path:
    return tmp_path / "mail"


@pytest.fixture
def port(mails: Path) -> Iterator[int]:
    with MailServer(mails) as server:
        yield urlsplit(server.url).port or 0


def send(port: int, text: str, message_id: str | None = "<order-1@orderlab>") -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@orderlab.example", "17850@customers.example", "Your order"
    if message_id is not None:
        mail["Message-ID"] = message_id
    mail.set_content(text)
    with smtplib.SMTP(LOOPBACK, port, timeout=5) as smtp:
        smtp.send_message(mail)


def test_a_repeated_message_id_is_accepted_and_kept_once(port: int, mails: Path) -> None:
    send(port, "first")
    send(port, "again")

    (kept,) = mails.iterdir()
    assert kept.suffix == ".eml"
    assert "first" in kept.read_text()


def test_mails_sent_at_the_same_time_are_each_kept_once(port: int, mails: Path) -> None:
    ids = [f"<order-{number % 10}@orderlab>" for number in range(40)]

    with ThreadPoolExecutor(8) as senders:
        list(senders.map(lambda message_id: send(port, "thank you", message_id), ids))

    assert len(list(mails.iterdir())) == 10


def test_a_mail_without_a_message_id_is_known_by_its_content(port: int, mails: Path) -> None:
    for text in ("one", "one", "two"):
        send(port, text, message_id=None)

    kept = [mail.read_text() for mail in mails.iterdir()]
    assert len(kept) == 2
    assert all(text.startswith("Message-ID: <") for text in kept)


def test_a_message_id_in_wild_bytes_is_an_id_too(port: int, mails: Path) -> None:
    for _ in range(2):
        with smtplib.SMTP(LOOPBACK, port, timeout=5) as smtp:
            smtp.sendmail("shop@orderlab.example", ["a@b.example"], b"Message-ID: <\xff\xfe>\r\n\r\nhello\r\n")

    assert len(list(mails.iterdir())) == 1


def test_a_mail_that_cannot_be_kept_is_refused_for_now(port: int, mails: Path) -> None:
    shutil.rmtree(mails)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(port, "thank you")
    assert refused.value.smtp_code == 451

    mails.mkdir()
    send(port, "thank you")
    assert len(list(mails.iterdir())) == 1


def test_a_taken_port_is_an_error(port: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Address already in use"), MailServer(tmp_path, port):
        pass


def test_waiting_for_a_mail_server_that_never_comes_ends() -> None:
    port = free_port()
    with pytest.raises(TimeoutError, match=str(port)):
        wait_until_mail_is_taken(port, wait_s=0)


def start(data: Path, port: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "server.mail", "--data", str(data), "--port", str(port)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_on_loopback_and_ends_cleanly(tmp_path: Path, which: signal.Signals) -> None:
    port = free_port()
    process = start(tmp_path, port)
    wait_until_mail_is_taken(port)
    listening = [c.laddr.ip for c in psutil.Process(process.pid).net_connections("inet") if c.status == "LISTEN"]
    send(port, "thank you")

    process.send_signal(which)
    out, _ = process.communicate(timeout=10)

    assert listening == [LOOPBACK]
    assert process.returncode == ExitCode.DONE
    assert out == b""
    assert len(list((tmp_path / "mail").iterdir())) == 1


def test_the_process_says_in_one_line_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        process = start(tmp_path, taken.getsockname()[1])
        out, error = process.communicate(timeout=10)

    assert process.returncode == ExitCode.BROKEN
    assert out == b""
    assert error.count(b"\n") == 1

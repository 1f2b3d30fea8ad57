"""Connecting to servers that others run, and what goes wrong there."""

import asyncio
import re
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from runtime.errors import NoServerError
from runtime.search import PARKED, SEARCH_ATTRIBUTES
from runtime.settings import Settings
from server.connect import configured_elsewhere, connect_external, connect_to, lab_suffix, server_version, ui_link
from server.embedded import EmbeddedServer
from server.ports import LOOPBACK, free_port

QUICK_S = 2


async def refusal(wait_s: float = QUICK_S) -> str:
    """The one line that a person reads where no connection comes about."""
    started = time.monotonic()
    with pytest.raises(NoServerError) as caught:
        await connect_external(wait_s)
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


def address_of(client: Client) -> str:
    return client.service_client.config.target_host


def get(url: str) -> bytes:
    """What is found there; the UI's own connection to the server comes about a moment after its start."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url) as answer:  # noqa: S310 - of our own server
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


async def test_a_server_without_our_search_attributes_gets_them(
    foreign: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a server that somebody else has set up
    listing = ListSearchAttributesRequest(namespace="default")
    before = await foreign.operator_service.list_search_attributes(listing)
    assert not {key.name for key in SEARCH_ATTRIBUTES} & set(before.custom_attributes)
    monkeypatch.setenv("TEMPORAL_ADDRESS", address_of(foreign))

    # when we connect to it, twice
    await connect_external(QUICK_S)
    client = await connect_external(QUICK_S)

    # then it takes an order with our attributes at once
    attributes = TypedSearchAttributes([SearchAttributePair(PARKED, ["shipping"])])
    await client.start_workflow("Order", id="saga/1", task_queue="nobody", search_attributes=attributes)
    assert re.fullmatch(r"\d+\.\d+\.\d+", await server_version(client))


async def test_a_search_attribute_of_another_type_is_refused(foreign: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"OrderId": IndexedValueType.INDEXED_VALUE_TYPE_TEXT}
    request = AddSearchAttributesRequest(namespace="taken", search_attributes=wrong)
    await foreign.operator_service.add_search_attributes(request)
    monkeypatch.setenv("TEMPORAL_ADDRESS", address_of(foreign))
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "taken")

    message = await refusal()

    assert address_of(foreign) in message
    assert "OrderId in namespace taken is of type Text, where Keyword is needed" in message


async def test_a_missing_namespace_is_named(foreign: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address_of(foreign))
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nowhere")

    assert await refusal() == f"namespace nowhere of the Temporal server at {address_of(foreign)} is missing"


async def test_a_refused_connection_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"{LOOPBACK}:{free_port()}"
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)

    assert await refusal() == f"no Temporal server answers at {address}: Connection refused"
    with pytest.raises(NoServerError, match="Connection refused"):
        await connect_to(address)


async def test_a_server_that_says_nothing_is_given_up(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"{LOOPBACK}:{silent_port}")

    message = await refusal(wait_s=1)

    assert message == f"no Temporal server answers at {LOOPBACK}:{silent_port} within 1 s"


@pytest.mark.parametrize("address", ["no.such.host.invalid:7233", "not an address", ":"])
async def test_an_address_that_leads_nowhere_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)

    assert (await refusal()).startswith(f"no Temporal server answers at {address}: ")


async def test_an_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "staging")

    assert configured_elsewhere()
    assert "Profile 'staging' not found" in await refusal()


async def test_a_broken_profile_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text("[[[")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))

    assert "TOML parse error" in await refusal()


async def test_a_missing_profile_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "nowhere.toml"))

    assert "nowhere.toml" in await refusal()


async def test_a_missing_certificate_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"{LOOPBACK}:{free_port()}")
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere.pem")

    assert "/nowhere.pem" in await refusal()


def test_without_any_configuration_no_other_server_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not configured_elsewhere()
    monkeypatch.setenv("TEMPORAL_ADDRESS", "")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "orders")
    assert not configured_elsewhere()


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        ('[profile.default]\naddress = "t.example:7233"', True),
        ('[profile.default]\nnamespace = "x"', False),
        ("[", True),
    ],
)
def test_the_default_profile_means_its_server_if_it_has_an_address(
    content: str, meant: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config" / "temporalio" / "temporal.toml"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    assert configured_elsewhere() is meant


def test_a_link_to_a_run_encodes_what_an_id_may_contain() -> None:
    base = "http://127.0.0.1:8233/namespaces/default/workflows/"

    assert ui_link("http://127.0.0.1:8233/", "default", "saga/536365") == f"{base}saga%2F536365"
    assert ui_link("http://127.0.0.1:8233", "default", "a b#?%", "r-1") == f"{base}a%20b%23%3F%25/r-1/history"


async def test_what_the_link_names_is_what_the_ui_s_own_api_finds(server: EmbeddedServer) -> None:
    # given an order on a running server
    client = await connect_to(server.address)
    handle = await client.start_workflow("Order", id="saga/536365", task_queue="nobody")

    # when its link is opened, and its workflow looked up as the page does
    link = ui_link(server.ui_url, "default", "saga/536365", handle.result_run_id)
    looked_up = link.replace("/namespaces/", "/api/v1/namespaces/").split(f"/{handle.result_run_id}")[0]

    # then both are found
    assert b"<html" in await asyncio.to_thread(get, link)
    assert str(handle.result_run_id).encode() in await asyncio.to_thread(get, looked_up)


def test_two_data_directories_never_meet_on_a_shared_server(tmp_path: Path) -> None:
    here, there = (lab_suffix(Settings(data=tmp_path / name), external=True) for name in ("here", "there"))

    assert re.fullmatch("[0-9a-f]{6}", here)
    assert here != there
    assert here == lab_suffix(Settings(data=tmp_path / "there" / ".." / "here"), external=True)


@pytest.mark.parametrize("lab", ["", "blue"])
def test_a_suffix_that_the_user_chose_is_taken_on_a_shared_server(lab: str) -> None:
    assert lab_suffix(Settings(lab=lab), external=True) == lab


def test_our_own_server_needs_no_suffix() -> None:
    assert lab_suffix(Settings(), external=False) == ""

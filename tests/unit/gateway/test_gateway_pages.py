"""The pages that mails link to: what they are made of, and that to get one changes nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from gateway.routes.pages import ASSET_TYPES, FOLDER, PAGES
from gateway.shapes import EXAMPLES
from tests.fakes.cluster import FakeCluster
from tests.unit.gateway.auth_cases import JSON_ROUTES
from tests.unit.gateway.conftest import Configure

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
EACH = pytest.mark.parametrize("name", PAGES)
WITH_TOKEN = [each for each in PAGES if each != "forgot-password"]
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Collects the elements of a page, each with its attributes, its text and its parents' names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self._open: list[dict[str, Any]] = []
        self.feed(text)
        assert not self._open, f"not closed: {[each['tag'] for each in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "within": [each["tag"] for each in self._open]}
        assert len(element["attrs"]) == len(attrs), f"an attribute of {tag} stands twice"
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        for each in self._open:
            each["text"] += data

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [each for each in self.elements if each["tag"] == tag]

    def by_id(self, name: str) -> dict[str, Any]:
        (found,) = [each for each in self.elements if each["attrs"].get("id") == name]
        return found


def _page(client: FlaskClient, name: str) -> Page:
    return Page(client.get(f"/pages/{name}").text)


@EACH
def test_a_page_is_served_and_asks_no_service(client: FlaskClient, cluster: FakeCluster, name: str) -> None:
    response = client.get(f"/pages/{name}?token=evt_1", headers={"Authorization": "Bearer rubbish"})
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers.getlist("Referrer-Policy") == ["no-referrer"]
    assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Set-Cookie" not in response.headers
    assert "evt_1" not in response.text
    assert not cluster.calls


@EACH
def test_head_is_get_without_a_body(client: FlaskClient, cluster: FakeCluster, name: str) -> None:
    response = client.head(f"/pages/{name}")
    assert response.status_code == 200
    assert response.data == b""
    assert int(response.headers["Content-Length"]) == len(client.get(f"/pages/{name}").data)
    assert not cluster.calls


@EACH
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_page_takes_nothing(client: FlaskClient, cluster: FakeCluster, name: str, method: str) -> None:
    response = client.open(f"/pages/{name}", method=method, data={"token": "evt_1"})
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert not cluster.calls


@pytest.mark.parametrize(
    "path",
    [
        "/pages",
        "/pages/",
        "/pages/nothing",
        "/pages/verify-email.html",
        "/pages/verify-email/",
        "/pages/Verify-Email",
        "/pages/../app.py",
        "/pages/%2e%2e/%2e%2e/app.py",
        "/pages/..%2f..%2fapp.py",
        "/api/v1/pages/verify-email",
        "/api/pages/verify-email",
    ],
)
def test_there_are_no_other_pages(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_pages_are_no_part_of_the_api(document: dict[str, Any]) -> None:
    assert not [path for path in document["paths"] if "pages" in path]


@EACH
def test_nothing_is_inline_and_nothing_from_elsewhere(client: FlaskClient, name: str) -> None:
    page = _page(client, name)
    assert not page.all("style")
    for element in page.elements:
        handlers = [each for each in element["attrs"] if each.startswith("on") or each == "style"]
        assert not handlers
        for attribute in ("src", "href", "action", "formaction", "data-post"):
            address = element["attrs"].get(attribute)
            assert address is None or address == "data:," or re.fullmatch(r"/[a-z0-9/.-]+", address)
    for script in page.all("script"):
        assert script["attrs"]["src"]
        assert not script["text"]
    references = [each["attrs"]["src"] for each in page.all("script")]
    references += [each["attrs"]["href"] for each in page.all("link") if each["attrs"]["rel"] == "stylesheet"]
    assert sorted(references) == [f"/pages/{each}" for each in sorted(ASSET_TYPES)]
    for address in references + [each["attrs"]["href"] for each in page.all("a")]:
        assert client.get(address).status_code == 200


@EACH
def test_a_page_can_be_read_and_used_by_everybody(client: FlaskClient, name: str) -> None:
    page = _page(client, name)
    (html,), (title,), (heading,) = page.all("html"), page.all("title"), page.all("h1")
    assert html["attrs"]["lang"] == "en"
    assert title["text"] == heading["text"] != ""
    (viewport,) = [each for each in page.all("meta") if each["attrs"].get("name") == "viewport"]
    assert viewport["attrs"]["content"] == "width=device-width, initial-scale=1"
    message = page.by_id("message")
    assert message["attrs"]["role"] == "status"
    assert message["attrs"]["tabindex"] == "-1"
    assert "form" not in message["within"]
    labelled = {each["attrs"]["for"] for each in page.all("label")}
    assert labelled == {each["attrs"]["id"] for each in page.all("input")}
    for each in page.all("input"):
        for described in each["attrs"]["aria-describedby"].split():
            page.by_id(described)
    for button in page.all("button"):
        assert button["attrs"]["type"] in ("submit", "button")
        assert button["text"].strip()
    assert len([each for each in page.all("button") if each["attrs"]["type"] == "submit"]) == 1


@EACH
def test_without_a_script_a_page_says_so_and_shows_no_form(client: FlaskClient, name: str) -> None:
    page = _page(client, name)
    (noscript,), (form,) = page.all("noscript"), page.all("form")
    assert "JavaScript" in noscript["text"]
    assert "hidden" in form["attrs"]
    # Should a browser send it all the same, then no password into an address.
    assert form["attrs"]["method"] == "post"


@EACH
def test_a_page_posts_what_its_route_takes(client: FlaskClient, name: str) -> None:
    page = _page(client, name)
    (form,) = page.all("form")
    (route,) = [each for each in JSON_ROUTES if each.url == form["attrs"]["data-post"]]
    assert route.method == "POST"
    members = {each["attrs"]["name"] for each in page.all("input")}
    if "data-token" in form["attrs"]:
        members.add("token")
    assert members == set(route.body or {})
    assert ("data-token" in form["attrs"]) is (name in WITH_TOKEN)
    assert ("data-sign-out" in form["attrs"]) is ("access_token" in (route.gives or {}))
    assert form["attrs"]["data-done"]
    assert (form["attrs"].get("data-already") is not None) is (name == "verify-email")
    assert (form["attrs"].get("data-expired") is not None) is (name in WITH_TOKEN)
    for placeholder in re.findall(r"\{(\w+)\}", form["attrs"]["data-done"]):
        assert placeholder in EXAMPLES["NewAddress"]


@pytest.mark.parametrize(("name", "member"), [("claim", "password"), ("reset-password", "new_password")])
def test_password_managers_know_what_is_asked_for(client: FlaskClient, name: str, member: str) -> None:
    page = _page(client, name)
    (field,) = page.all("input")
    assert field["attrs"]["name"] == member
    assert field["attrs"]["type"] == "password"
    assert field["attrs"]["autocomplete"] == "new-password"
    # A browser would cut what is longer without a word.
    assert "maxlength" not in field["attrs"]
    show = page.by_id("show")
    assert show["attrs"]["type"] == "button"
    assert show["attrs"]["aria-controls"] == field["attrs"]["id"]


def test_the_script_takes_the_token_out_of_the_address_before_anything_else(client: FlaskClient) -> None:
    script = client.get("/pages/pages.js").text
    assert "location.hash" in script
    assert script.index("history.replaceState") < script.index('form.addEventListener("submit"')
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage"):
        assert dangerous not in script
    for dangerous in ("sessionStorage", "document.cookie", "location.search", "console."):
        assert dangerous not in script
    assert not re.search(r"https?:", script)


def test_the_style_fits_small_and_dark_screens(client: FlaskClient) -> None:
    style = client.get("/pages/pages.css").text
    assert "prefers-color-scheme: dark" in style
    assert ":focus-visible" in style
    assert "url(" not in style
    assert "@import" not in style
    # Nothing is wider than a screen of 320 pixels.
    assert not re.findall(r"(?:^|[^-])width: *(\d+)(?:px|rem)", style)


@pytest.mark.parametrize("name", sorted(ASSET_TYPES))
def test_script_and_style_are_asked_for_again(client: FlaskClient, name: str) -> None:
    response = client.get(f"/pages/{name}")
    assert response.status_code == 200
    assert response.content_type == ASSET_TYPES[name]
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["Content-Security-Policy"] == POLICY
    assert client.get(f"/pages/{name}", headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


def test_every_file_is_served() -> None:
    assert {each.name for each in FOLDER.iterdir()} == {*ASSET_TYPES, *(f"{each}.html" for each in PAGES)}


def test_pages_do_not_wait_for_services(configure: Configure, cluster: FakeCluster) -> None:
    cluster.connected = False
    cluster.instances = dict.fromkeys(cluster.instances, 0)
    app: Flask = configure()
    assert app.test_client().get("/pages/reset-password").status_code == 200

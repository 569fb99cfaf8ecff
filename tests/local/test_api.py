"""The API of the local cloud: DigitalOcean's answers, each checked against its own document."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from cloudship.keys import mint

Api = Any


def test_catalogues_are_listed_as_documented(api: Api) -> None:
    """Account, images, sizes with prices, regions."""
    assert "active" == api("GET", "/v2/account").json()["account"]["status"]
    assert "ubuntu-20-04-x64" in [one["slug"] for one in api("GET", "/v2/images").json()["images"]]
    assert 0.00893 == next(
        one["price_hourly"] for one in api("GET", "/v2/sizes").json()["sizes"] if one["slug"] == "s-1vcpu-1gb"
    )
    assert "nyc3" in [one["slug"] for one in api("GET", "/v2/regions").json()["regions"]]


def test_an_image_is_found_by_slug_and_by_id_and_says_what_it_is(api: Api) -> None:
    """The name tells what really boots."""
    image = api("GET", "/v2/images/ubuntu-20-04-x64").json()["image"]
    assert image == api("GET", f"/v2/images/{image['id']}").json()["image"]
    assert "driver none" in image["name"]
    assert 404 == api("GET", "/v2/images/ubuntu-4-10").status_code


def test_a_droplet_is_new_without_networks_and_then_active_with_an_address(api: Api) -> None:
    """The create says new; the next look finds it running."""
    asked = {"name": "web", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64", "tags": ["a", "b"]}
    answer = api("POST", "/v2/droplets", asked)
    made = answer.json()["droplet"]
    assert (202, "new", {"v4": [], "v6": []}) == (answer.status_code, made["status"], made["networks"])
    assert "create" == answer.json()["links"]["actions"][0]["rel"]
    later = api("GET", f"/v2/droplets/{made['id']}").json()["droplet"]
    assert ("active", "public", ["a", "b"]) == (later["status"], later["networks"]["v4"][0]["type"], later["tags"])
    action = api("GET", f"/v2/actions/{answer.json()['links']['actions'][0]['id']}").json()["action"]
    assert ("completed", made["id"]) == (action["status"], action["resource_id"])


def test_up_to_ten_droplets_are_made_at_once(api: Api) -> None:
    """`names` makes one droplet and one action for each."""
    asked = {"names": ["a", "b", "c"], "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64"}
    told = api("POST", "/v2/droplets", asked).json()
    assert ["a", "b", "c"] == [one["name"] for one in told["droplets"]]
    assert 3 == len({one["id"] for one in told["links"]["actions"]})


def test_droplets_are_listed_by_tag_or_by_name(api: Api) -> None:
    """The name is exact whatever the case; tag and name together are refused."""
    first, second = api.droplet(name="one", tags=["t"]), api.droplet(name="two")
    assert [first["id"]] == [one["id"] for one in api("GET", "/v2/droplets?tag_name=t").json()["droplets"]]
    assert [second["id"]] == [one["id"] for one in api("GET", "/v2/droplets?name=TWO").json()["droplets"]]
    assert [] == api("GET", "/v2/droplets?name=tw").json()["droplets"]
    assert 422 == api("GET", "/v2/droplets?name=a&tag_name=b").status_code


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"image": "nope"}, "You specified an invalid image for Droplet creation."),
        ({"size": "nope"}, "You specified an invalid size for Droplet creation."),
        ({"region": "mars1"}, "You specified an invalid region for Droplet creation."),
        ({"name": "no_underscores"}, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"),
        ({"ssh_keys": [17]}, "17 are invalid key identifiers for Droplet creation."),
        ({"user_data": "x" * 70000}, "User data exceeds the limit of 64KB"),
        ({"tags": ["no spaces"]}, "Name must contain only"),
    ],
)
def test_what_digitalocean_refuses_is_refused_in_its_words(api: Api, asked: dict[str, Any], message: str) -> None:
    """422, with the message that clients look for; nothing is made."""
    whole = {"name": "web", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64", **asked}
    answer = api("POST", "/v2/droplets", whole)
    assert 422 == answer.status_code
    assert answer.json()["message"].startswith(message)
    assert 0 == api("GET", "/v2/droplets").json()["meta"]["total"]


def test_the_droplet_limit_holds_for_all_or_none(api: Api) -> None:
    """A request that would pass the limit makes nothing."""
    for part in range(3):
        names = [f"d{part}-{index}" for index in range(8)]
        api("POST", "/v2/droplets", {"names": names, "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64"})
    answer = api("POST", "/v2/droplets", {"names": ["x", "y"], "size": "s-1vcpu-1gb", "image": "ubuntu-20-04-x64"})
    assert (422, 24) == (answer.status_code, api("GET", "/v2/droplets").json()["meta"]["total"])


def test_pages_link_to_each_other_and_count_all(api: Api) -> None:
    """Twenty on a page unless asked; only links that make sense."""
    for index in range(5):
        api("POST", "/v2/tags", {"name": f"t{index}"})
    first = api("GET", "/v2/tags?per_page=2").json()
    assert (2, 5, {"next", "last"}) == (len(first["tags"]), first["meta"]["total"], set(first["links"]["pages"]))
    last = api("GET", first["links"]["pages"]["last"].removeprefix(api.url)).json()
    assert (["t4"], {"first", "prev"}) == ([one["name"] for one in last["tags"]], set(last["links"]["pages"]))
    assert {} == api("GET", "/v2/tags").json()["links"]


def test_a_destroyed_droplet_is_gone_at_once_and_its_tags_stay(api: Api) -> None:
    """204, then 404; deleting twice is 404; ids and tags are not reused or removed."""
    droplet = api.droplet(tags=["keep"])
    assert 204 == api("DELETE", f"/v2/droplets/{droplet['id']}", {}).status_code
    assert 404 == api("GET", f"/v2/droplets/{droplet['id']}").status_code
    assert 404 == api("DELETE", f"/v2/droplets/{droplet['id']}", {}).status_code
    assert 0 == api("GET", "/v2/tags/keep").json()["tag"]["resources"]["droplets"]["count"]
    assert api.droplet()["id"] > droplet["id"]


def test_deleting_by_tag_needs_a_tag(api: Api) -> None:
    """An empty filter destroys nothing."""
    kept, gone = api.droplet(tags=["keep"]), api.droplet(tags=["gone"])
    assert 422 == api("DELETE", "/v2/droplets").status_code
    assert 204 == api("DELETE", "/v2/droplets?tag_name=gone").status_code
    assert [kept["id"]] == [one["id"] for one in api("GET", "/v2/droplets").json()["droplets"]]
    assert gone["id"] != kept["id"]


def test_keys_are_found_by_id_and_by_fingerprint(api: Api) -> None:
    """Percent-encoded too; a key twice is refused in DigitalOcean's words; text that is no key as well."""
    public = mint("x").public
    made = api("POST", "/v2/account/keys", {"name": "k", "public_key": public})
    key = made.json()["ssh_key"]
    assert 201 == made.status_code
    assert (
        key == api("GET", f"/v2/account/keys/{key['fingerprint'].replace(':', '%3A')}", check=False).json()["ssh_key"]
    )
    again = api("POST", "/v2/account/keys", {"name": "k2", "public_key": public})
    assert (422, "SSH Key is already in use on your account") == (again.status_code, again.json()["message"])
    assert 422 == api("POST", "/v2/account/keys", {"name": "k3", "public_key": "ssh-ed25519 nonsense"}).status_code
    assert "new" == api("PUT", f"/v2/account/keys/{key['id']}", {"name": "new"}).json()["ssh_key"]["name"]
    assert 204 == api("DELETE", f"/v2/account/keys/{key['id']}", {}).status_code
    assert 404 == api("GET", f"/v2/account/keys/{key['id']}").status_code


def test_tags_are_attached_and_detached(api: Api) -> None:
    """Tags are case-stable: the first spelling stays."""
    droplet = api.droplet()
    resources = {"resources": [{"resource_id": str(droplet["id"]), "resource_type": "droplet"}]}
    assert "Blue" == api("POST", "/v2/tags", {"name": "Blue"}).json()["tag"]["name"]
    assert "Blue" == api("POST", "/v2/tags", {"name": "blue"}).json()["tag"]["name"]
    assert 204 == api("POST", "/v2/tags/Blue/resources", resources).status_code
    assert ["Blue"] == api("GET", f"/v2/droplets/{droplet['id']}").json()["droplet"]["tags"]
    assert 204 == api("DELETE", "/v2/tags/Blue/resources", resources).status_code
    assert [] == api("GET", f"/v2/droplets/{droplet['id']}").json()["droplet"]["tags"]
    assert 404 == api("POST", "/v2/tags/none/resources", resources).status_code


@pytest.mark.parametrize(
    ("kind", "status"), [("power_off", "off"), ("shutdown", "off"), ("reboot", "active"), ("power_cycle", "active")]
)
def test_power_actions_change_the_droplet(api: Api, kind: str, status: str) -> None:
    """The action completes and the status follows."""
    droplet = api.droplet()
    made = api("POST", f"/v2/droplets/{droplet['id']}/actions", {"type": kind})
    assert 201 == made.status_code
    path = f"/v2/droplets/{droplet['id']}/actions/{made.json()['action']['id']}"
    while api("GET", path).json()["action"]["status"] == "in-progress":
        pass
    assert "completed" == api("GET", path).json()["action"]["status"]
    assert status == api("GET", f"/v2/droplets/{droplet['id']}").json()["droplet"]["status"]


def test_an_unknown_action_is_refused(api: Api) -> None:
    """422, and no action is recorded for it."""
    droplet = api.droplet()
    assert 422 == api("POST", f"/v2/droplets/{droplet['id']}/actions", {"type": "explode"}).status_code
    assert ["create"] == [one["type"] for one in api("GET", f"/v2/droplets/{droplet['id']}/actions").json()["actions"]]


def test_every_spelling_of_a_path_is_answered_without_a_redirect(api: Api) -> None:
    """A redirected POST would become a GET."""
    for path in ("/v2/droplets/", "//v2//droplets", "/v2/droplets?per_page=200"):
        assert 200 == api("GET", path, check=False, allow_redirects=False).status_code


def test_answers_carry_the_rate_limit(api: Api) -> None:
    """Errors too."""
    for path in ("/v2/account", "/v2/droplets/1"):
        assert {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"} <= set(api("GET", path).headers)


def test_nobody_gets_in_without_the_token(api: Api) -> None:
    """401 with DigitalOcean's body."""
    for header in ("", "Bearer wrong", "Basic x"):
        answer = api("GET", "/v2/account", headers={"Authorization": header})
        assert (401, "unauthorized") == (answer.status_code, answer.json()["id"])


def test_foreign_hosts_and_bodies_are_refused(api: Api) -> None:
    """A web page cannot reach it by a name of its own, nor by a form."""
    assert 403 == api("GET", "/v2/account", headers={"Host": "evil.example.org"}, check=False).status_code
    form = requests.post(
        f"{api.url}/v2/tags", data={"name": "x"}, headers={"Authorization": f"Bearer {api.token}"}, timeout=5
    )
    assert 415 == form.status_code
    assert "access-control-allow-origin" not in {name.lower() for name in form.headers}


def test_bodies_that_are_no_json_objects_are_refused(api: Api) -> None:
    """400 for text that is none; 413 for what is too large."""
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
    assert 400 == requests.post(f"{api.url}/v2/tags", data="{", headers=headers, timeout=5).status_code
    assert 400 == requests.post(f"{api.url}/v2/tags", data="[]", headers=headers, timeout=5).status_code
    assert 413 == requests.post(f"{api.url}/v2/tags", data="x" * (2 << 20), headers=headers, timeout=5).status_code


def test_unknown_paths_are_404_with_the_usual_body(api: Api) -> None:
    """Even there clients find id and message."""
    answer = api("GET", "/v2/nothing", check=False)
    assert (404, "not_found") == (answer.status_code, answer.json()["id"])

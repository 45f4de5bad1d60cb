"""Which URLs the client speaks to."""

from __future__ import annotations

import pytest

from harness.errors import CredentialsError, PlatformError
from harness.exoscale.urls import check_deployment_url, check_endpoint, is_loopback

CLOUD = "https://api-ch-gva-2.exoscale.com/v2"
SIMULATOR = "http://127.0.0.1:8080/v2"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v2", "http://localhost/v2", "http://[::1]:9/v2", "http://127.9.9.9/v2"]
)
def test_plain_http_is_for_loopback(url: str) -> None:
    assert is_loopback(url)
    assert check_endpoint(url) == url


@pytest.mark.parametrize(
    "url", ["http://api.example.com/v2", "http://10.0.0.1/v2", "http://127.0.0.1.example.com/v2"]
)
def test_plain_http_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(CredentialsError, match="not encrypted"):
        check_endpoint(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/v2",
        "ftp://a/v2",
        "https:///v2",
        "https://u:planted@a/v2",
        "https://a/v2?x=1",
        "https://[bad/v2",
        "https://a:port/v2",
    ],
)
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        check_endpoint(url)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example/", "https://a.example/v2", "https://a.example/v2/"]
)
def test_an_endpoint_ends_in_v2(url: str) -> None:
    assert check_endpoint(url) == "https://a.example/v2"


def test_a_public_https_deployment_is_spoken_to() -> None:
    url = "https://d.inference.example/v1"
    assert check_deployment_url(url, endpoint=CLOUD, resolve=lambda host: ["194.182.1.9"]) == url


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fd00::1", "fe80::1%eth0"]
)
def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(PlatformError, match="leads to the private address"):
        check_deployment_url(
            "https://d.example/v1", endpoint=CLOUD, resolve=lambda host: ["194.182.1.9", address]
        )


@pytest.mark.parametrize("url", ["http://d.example/v1", "https:///v1", "http://127.0.0.1:1/v1"])
def test_a_real_zone_may_not_hand_out_plain_or_loopback_urls(url: str) -> None:
    with pytest.raises(PlatformError, match="not https"):
        check_deployment_url(url, endpoint=CLOUD, resolve=lambda host: ["194.182.1.9"])


def test_the_simulator_may_hand_out_loopback_urls_and_nothing_else_in_plain() -> None:
    url = "http://127.0.0.1:8080/deployments/d/v1"
    assert check_deployment_url(url, endpoint=SIMULATOR) == url
    with pytest.raises(PlatformError):
        check_deployment_url("http://d.example/v1", endpoint=SIMULATOR, resolve=lambda host: ["194.182.1.9"])

"""What the operator sets for webhooks: hosts that may be private, and the keys that seal their secrets."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from mintage.operations.webhook_secrets import Sealer
from mintage.secrets import SecretsError, new_secrets_text, parse_secrets
from mintage.settings import SettingsError, read_settings


def test_hosts_that_may_be_private_are_named_by_comma() -> None:
    named = {"MINTAGE_WEBHOOK_PRIVATE_HOSTS": "ERP.internal, 10.0.0.7,,fd00::1"}
    limits = read_settings(named).limits
    assert limits.webhook_private_hosts == ("erp.internal", "10.0.0.7", "fd00::1")
    assert read_settings({}).limits.webhook_private_hosts == ()


@pytest.mark.parametrize("bad", ["http://erp.internal", "erp.internal:80", "*", "10.0.0.0/8"])
def test_what_is_no_host_is_told(bad: str) -> None:
    with pytest.raises(SettingsError, match="MINTAGE_WEBHOOK_PRIVATE_HOSTS"):
        read_settings({"MINTAGE_WEBHOOK_PRIVATE_HOSTS": bad})


def test_a_file_that_is_older_than_webhooks_seals_with_a_key_that_stays_the_same() -> None:
    content = json.loads(new_secrets_text())
    del content["webhook_keys"]
    first, second = (parse_secrets(json.dumps(content)) for _ in range(2))
    brand_id, webhook_id = uuid4(), uuid4()
    sealed = Sealer(lambda: first.webhook_keys).seal(b"secret", brand_id, webhook_id)
    assert Sealer(lambda: second.webhook_keys).open(sealed, brand_id, webhook_id) == b"secret"
    assert not set(first.webhook_keys) & first.texts


@pytest.mark.parametrize("bad", [[], "text", ["short"], [7], {}])
def test_bad_keys_are_refused(bad: object) -> None:
    content = json.loads(new_secrets_text()) | {"webhook_keys": bad}
    with pytest.raises(SecretsError, match="webhook_keys"):
        parse_secrets(json.dumps(content))


def test_an_older_key_opens_and_the_newest_seals() -> None:
    old, new = b"o" * 32, b"n" * 32
    brand_id, webhook_id = uuid4(), uuid4()
    sealed = Sealer(lambda: (old,)).seal(b"secret", brand_id, webhook_id)
    assert Sealer(lambda: (new, old)).open(sealed, brand_id, webhook_id) == b"secret"
    sealed_anew = Sealer(lambda: (new, old)).seal(b"secret", brand_id, webhook_id)
    assert Sealer(lambda: (new,)).open(sealed_anew, brand_id, webhook_id) == b"secret"

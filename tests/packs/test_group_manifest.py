"""The group manifest: what it lists, when it comes, and that nobody can change it or a pack unnoticed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mintage.cli import cli
from mintage.packs.signed_manifest import (
    ManifestRefused,
    check_signature,
    fetch_public_keys,
    public_keys,
    read_manifest,
    read_public_keys,
    signed_manifest,
)
from mintage.packs.verification import verify_pack
from mintage.storage import PackStore, StorageFailure, StoredFile
from tests.packs.desk import Desk
from tests.support.keys import manifest_key
from tests.support.refusals import bad_arguments

KEY, OTHER = manifest_key(), manifest_key("second", 2)
CONTENT = {
    "format": "group_manifest",
    "brand_name": 'Zoé "Ü"\n\u2028',
    "gtin": None,
    "packs": [{"name": "a.csv", "byte_size": 2**40, "sha256": "00" * 32}],
}


async def _manifest(desk: Desk, group: dict[str, Any]) -> dict[str, Any]:
    row = await desk.manifest(export_group_id=group["export_group_id"])
    content: dict[str, Any] = json.loads((desk.folder / row["storage_path"]).read_bytes())
    return content


async def test_a_manifest_lists_every_pack_with_its_facts_and_ends(desk: Desk) -> None:
    desk = desk.with_limits(pack_units=4)
    batch_id = (await desk.world.minted(10))["mint_batch_id"]
    group = await desk.request(batch_id)
    assert group["pack_count"] == 3
    await desk.process_all()
    packs = await desk.packs(export_group_id=group["export_group_id"])
    row = await desk.manifest(export_group_id=group["export_group_id"])
    assert (row["format"], row["unit_count"], row["pack_index"], row["pack_count"]) == (
        "group_manifest",
        0,
        4,
        3,
    )
    assert row["storage_path"].endswith("/0004-1.json")
    content = await _manifest(desk, group)
    assert (content["pack_count"], content["unit_count"]) == (3, 10)
    assert content["mint_batch_id"] == str(batch_id)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=batch_id, limit=200)
    units = {unit["unit_no"]: unit for unit in listed["units"]}
    for pack, entry, (first, last) in zip(
        packs, content["packs"], [(0, 3), (4, 7), (8, 9)], strict=True
    ):
        for name in ("pack_index", "storage_path", "byte_size", "sha256", "unit_count"):
            assert entry[name] == pack[name]
        for end, number in (("first_unit", first), ("last_unit", last)):
            assert entry[end] == {
                "unit_no": number,
                "unit_id": str(units[number]["id"]),
                "serial_number": units[number]["serial_number"],
            }


async def test_a_manifest_is_signed_over_the_canonical_form_of_the_rest(desk: Desk) -> None:
    group = await desk.request((await desk.world.minted(3, identity_mode="batch"))["mint_batch_id"])
    await desk.process_all()
    content = await _manifest(desk, group)
    assert content["packs"][0]["first_unit"]["serial_number"] is None
    signature = content.pop("signature")
    assert (signature["algorithm"], signature["kid"]) == ("Ed25519", KEY.kid)
    octets = base64.urlsafe_b64decode(signature["value"] + "==")
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    KEY.private.public_key().verify(octets, canonical.encode())


async def test_a_group_of_which_a_pack_failed_has_no_manifest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = await desk.request((await desk.world.minted(2))["mint_batch_id"])

    async def full(*_: object) -> StoredFile:
        raise StorageFailure("the disk is full")

    monkeypatch.setattr(PackStore, "put", full)
    outcomes = [await desk.process() for _ in range(3)]
    assert [outcome.result for outcome in outcomes] == ["retried", "retried", "failed"]
    row = await desk.manifest(export_group_id=group["export_group_id"])
    assert (row["status"], row["error"]) == ("failed", "GROUP_FAILED")
    assert (await desk.process()).result == "idle"
    assert (await desk.row("select count(*) as open from work_item"))["open"] == 0
    assert (await desk.row("select status from export_group"))["status"] == "failed"


async def test_a_manifest_that_fails_thrice_fails_its_group(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.request((await desk.world.minted(2))["mint_batch_id"])
    await desk.process()

    async def full(*_: object) -> StoredFile:
        raise StorageFailure("the disk is full")

    monkeypatch.setattr(PackStore, "put", full)
    outcomes = [await desk.process() for _ in range(3)]
    assert [outcome.result for outcome in outcomes] == ["retried", "retried", "failed"]
    assert (await desk.row("select status from export_group"))["status"] == "failed"
    assert [pack["status"] for pack in await desk.packs()] == ["completed"]


async def test_nobody_asks_for_a_manifest(desk: Desk) -> None:
    batch_id = (await desk.world.minted(1))["mint_batch_id"]
    asked = desk.request(batch_id, format="group_manifest")
    assert set(await bad_arguments(asked)) == {"_format"}


def keys_of(*keys: Any) -> dict[str, Ed25519PublicKey]:
    return read_public_keys(json.dumps(public_keys(keys)).encode())


def test_a_signature_holds_for_what_was_signed_however_it_is_laid_out() -> None:
    body = signed_manifest(CONTENT, KEY)
    content = read_manifest(body)
    assert check_signature(content, keys_of(OTHER, KEY)) == KEY.kid
    again = json.dumps(content, indent=7, sort_keys=True).replace("\n", "\r\n").encode()
    assert check_signature(read_manifest(again), keys_of(KEY)) == KEY.kid


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["packs"][0].update(sha256="11" * 32),
        lambda content: content.update(gtin=""),
        lambda content: content.update(more=1),
        lambda content: content.pop("brand_name"),
        lambda content: content["signature"].update(kid=OTHER.kid),
        lambda content: content["signature"].update(value="AAAA"),
        lambda content: content["signature"].update(value=None),
        lambda content: content["signature"].update(algorithm="none"),
        lambda content: content.update(signature=None),
        lambda content: content.pop("signature"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(change: Change) -> None:
    content = json.loads(signed_manifest(CONTENT, KEY))
    change(content)
    with pytest.raises(ManifestRefused):
        check_signature(read_manifest(json.dumps(content).encode()), keys_of(KEY, OTHER))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": "group_manifest", "format": "group_manifest"}',
        b'{"format": "group_manifest", "a": 1.5}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_manifest_is_refused(body: bytes) -> None:
    with pytest.raises(ManifestRefused):
        read_manifest(body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"keys": [{"kty": "OKP", "crv": "Ed25519"}]}'])
def test_what_are_no_keys_is_refused(body: bytes) -> None:
    with pytest.raises(ManifestRefused):
        read_public_keys(body)


def test_keys_are_not_fetched_where_others_could_answer() -> None:
    with pytest.raises(ManifestRefused, match="https"):
        fetch_public_keys("http://id.example.com/.well-known/mintage-keys.json")


@pytest.fixture
async def exported(desk: Desk, tmp_path: Path) -> Path:
    """A folder with two packs under other names, their manifest, and the public keys."""
    desk = desk.with_limits(pack_units=2)
    group = await desk.request((await desk.world.minted(4))["mint_batch_id"])
    await desk.process_all()
    folder = tmp_path / "received"
    folder.mkdir()
    for pack in await desk.packs(export_group_id=group["export_group_id"]):
        file = folder / f"pack {pack['pack_index']}.csv"
        file.write_bytes((desk.folder / pack["storage_path"]).read_bytes())
    row = await desk.manifest()
    manifest = (desk.folder / row["storage_path"]).read_bytes()
    (folder / "manifest.json").write_bytes(manifest)
    (tmp_path / "keys.json").write_text(json.dumps(public_keys([OTHER, KEY])), "utf-8")
    return folder


async def test_a_pack_is_checked_by_the_manifest_beside_it_or_the_one_given(
    exported: Path, tmp_path: Path
) -> None:
    verdict = verify_pack(exported / "pack 2.csv", None, keys_of(KEY))
    assert (verdict.manifest.name, verdict.kid, verdict.listed) == ("manifest.json", KEY.kid, 2)
    assert len(verdict.verified) == 1
    away = tmp_path / "away.csv"
    away.write_bytes((exported / "pack 1.csv").read_bytes())
    with pytest.raises(ManifestRefused, match="--manifest"):
        verify_pack(away, None, keys_of(KEY))
    assert verify_pack(away, exported / "manifest.json", keys_of(KEY)).listed == 2


async def test_a_manifest_is_checked_with_its_packs_that_lie_beside_it(exported: Path) -> None:
    manifest = exported / "manifest.json"
    assert verify_pack(manifest, None, keys_of(KEY)).verified == ()
    names = [entry["name"] for entry in json.loads(manifest.read_bytes())["packs"]]
    for number, name in enumerate(names, 1):
        (exported / f"pack {number}.csv").rename(exported / name)
    assert verify_pack(manifest, None, keys_of(KEY)).verified == tuple(names)
    with (exported / names[1]).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ManifestRefused, match="is not the file"):
        verify_pack(manifest, None, keys_of(KEY))


async def test_the_command_tells_by_its_exit_code_whether_all_holds(
    exported: Path, tmp_path: Path
) -> None:
    keys = ["--keys", str(tmp_path / "keys.json")]
    run = CliRunner().invoke
    pack = exported / "pack 1.csv"
    told = run(cli, ["verify-pack", str(pack), *keys])
    assert told.exit_code == 0, told.output
    assert f"signed by key {KEY.kid}" in told.output
    assert run(cli, ["verify-pack", str(exported / "manifest.json"), *keys]).exit_code == 0
    pack.write_bytes(pack.read_bytes().replace(b"minted", b"active"))
    changed = run(cli, ["verify-pack", str(pack), *keys])
    assert changed.exit_code == 1
    assert "was changed" in changed.output
    given = ["--manifest", str(exported / "manifest.json")]
    assert run(cli, ["verify-pack", str(pack), *given, *keys]).exit_code == 1
    (tmp_path / "keys.json").write_text(json.dumps(public_keys([OTHER])), "utf-8")
    stranger = run(cli, ["verify-pack", str(exported / "pack 2.csv"), *keys])
    assert stranger.exit_code == 1
    assert "a key that was not given" in stranger.output
    assert run(cli, ["verify-pack"]).exit_code == 2

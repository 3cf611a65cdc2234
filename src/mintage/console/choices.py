"""Rows of the console's own for what its selects offer: in no public table, authorized as every read is."""

from __future__ import annotations

from typing import Final

from mintage.operations import choices
from mintage.rpcs import Rpc

ACTORS_MAX: Final = 200
CHOOSE_PRODUCT: Final = Rpc(
    choices.choose_product, choices.ChoicesMax, "mint:read", is_read_only=True
)
CHOOSE_ACTIVE_PRODUCT: Final = Rpc(
    choices.choose_active_product, choices.ChoicesMax, "mint:read", is_read_only=True
)
CHOOSE_EXPORTABLE_BATCH: Final = Rpc(
    choices.choose_exportable_batch, choices.ChoicesMax, "mint:read", is_read_only=True
)
NAME_ACTORS: Final = Rpc(choices.name_actors, choices.ChoicesMax, "mint:read", is_read_only=True)
CHOOSE_RUNNING_BATCH: Final = Rpc(
    choices.choose_running_batch, choices.ChoicesMax, "mint:read", is_read_only=True
)

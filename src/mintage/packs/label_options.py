"""What `labels_pdf` is asked: the sheet, the symbol, the text (SPEC §7).

Not here: whether that fits (`label_refusals`), and the layout that follows from it (`label_layout`).
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from pydantic import Field, model_validator

from mintage.packs.context import PackOptions
from mintage.packs.label_sheets import SHEETS, CustomSheet, Sheet, SheetName, custom_sheet
from mintage.packs.symbols import QUIET_ZONE_MODULES, ErrorCorrection, SymbolKind

TextField = Literal[
    "product_name", "brand_name", "sku", "gtin", "serial", "lot", "product_batch", "url"
]
BAR_MODULE_MM: Final = 0.264
"""The least that GS1 General Specifications 5.12 have for a GS1-128 on things that are sold."""


class LabelsPdfOptions(PackOptions):
    """`module_mm` and `quiet_zone_modules` have defaults that follow the symbol and the sheet."""

    sheet: SheetName = Field(
        default="avery_l7160", description=f"one of {', '.join(get_args(SheetName))}"
    )
    custom: CustomSheet | None = Field(
        default=None, description="the measures of the sheet custom, and null for the others"
    )
    symbol: SymbolKind = Field(default="qr", description="qr, gs1_datamatrix or gs1_128")
    error_correction: ErrorCorrection = Field(
        default="M", description="L, M, Q or H: some 7, 15, 25 or 30 % of a QR code may be lost"
    )
    module_mm: float = Field(
        default=0.5, ge=0.1, le=5, description="0.1 to 5: the width of one module in millimetres"
    )
    quiet_zone_modules: int = Field(
        default=4,
        ge=1,
        le=40,
        description="1 to 40: light modules on every side, of GS1-128 left and right",
    )
    text: list[TextField] = Field(
        default=["product_name", "gtin", "serial", "lot"],
        max_length=8,
        description=f"a list of {', '.join(get_args(TextField))}",
    )
    crop_marks: bool = Field(
        default=False, description="true or false: hairlines in the page's margins"
    )
    start_position: int = Field(
        default=1,
        ge=1,
        le=5000,
        description="the position of the first label on the first sheet, counted by rows from 1",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: object) -> object:
        """Defaults that follow from other options, so that what is kept says all."""
        if not isinstance(given, dict):
            return given
        kind, name = given.get("symbol", "qr"), given.get("sheet", "avery_l7160")
        if kind not in QUIET_ZONE_MODULES or name not in get_args(SheetName):
            return given
        square_mm = SHEETS[name].module_mm if name in SHEETS else 0.5
        return {
            "module_mm": BAR_MODULE_MM if kind == "gs1_128" else square_mm,
            "quiet_zone_modules": QUIET_ZONE_MODULES[kind],
        } | given

    def measured(self) -> Sheet | str:
        """The sheet that is asked for; or a sentence that says why there is none."""
        if self.sheet != "custom":
            if self.custom is not None:
                return f"The sheet {self.sheet} has its own measures: ask for the sheet custom."
            return SHEETS[self.sheet]
        if self.custom is None:
            return (
                "The sheet custom needs its measures: label_width_mm and label_height_mm in custom."
            )
        return custom_sheet(self.custom)

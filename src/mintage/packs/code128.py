"""Code 128: the codewords of GS1-128 and their bars (ISO/IEC 15417; GS1 General Specifications 5.4).

Written by hand because the library draws fifty rows of such a symbol, which takes as long as encoding it,
where one says all. The tests hold each symbol against the library's. Not here: what a symbol says
(`symbols`), and how high its bars are drawn (`label_layout`).
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

_TO_C: Final = 99
_TO_B: Final = 100
_FNC1: Final = 102
_START_C: Final = 105
_STOP: Final = 106
_CHECK_MODULUS: Final = 103
_SPACE: Final = ord(" ")
# Of each codeword in turn six widths in modules, of a bar, a space, a bar, … (ISO/IEC 15417, table 1).
_WIDTHS: Final = (
    "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222"
    "123122123221223211221132221231213212223112312131311222321122321221312212322112322211212123212321"
    "232121111323131123131321112313132113132311211313231113231311112133112331132131113123113321133121"
    "313121211331231131213113213311213131311123311321331121312113312311332111314111221411431111111224"
    "111422121124121421141122141221112214112412122114122411142112142211241211221114413111241112134111"
    "111242121142121241114212124112124211411212421112421211212141214121412121111143111341131141114113"
    "114311411113411311113141114131311141411131211412211214211232"
)
_STOP_WIDTHS: Final = "2331112"
_WIDTHS_A_CODEWORD: Final = 6
_PAIRS: Final = {f"{value:02}": value for value in range(100)}
_CONTENT: Final = re.compile(r"[0-9]{4}[ -~]*")
_DIGITS: Final = re.compile(r"[0-9]+")


def _modules_of(widths: str) -> bytes:
    """An octet for each module: 1 is dark."""
    return b"".join(b"\1\0"[place % 2 :][:1] * int(each) for place, each in enumerate(widths))


_MODULES: Final = (
    *(
        _modules_of(_WIDTHS[start : start + _WIDTHS_A_CODEWORD])
        for start in range(0, len(_WIDTHS), _WIDTHS_A_CODEWORD)
    ),
    _modules_of(_STOP_WIDTHS),
)


def gs1_128_modules(content: str) -> NDArray[np.bool_]:
    """One row of modules, True is dark, of `content` with FNC1 in first position, without quiet zones.

    `content` is printable ASCII that begins with four digits, as an element string of a GTIN does; of the
    smallest number of codewords. Raises `ValueError` for another.
    """
    if not _CONTENT.fullmatch(content):
        raise ValueError("a GS1-128 begins with digits and has printable ASCII only")
    codewords = [_START_C, _FNC1, *_codewords(content)]
    check = codewords[0] + sum(place * each for place, each in enumerate(codewords))
    codewords += [check % _CHECK_MODULUS, _STOP]
    modules = b"".join([_MODULES[each] for each in codewords])
    return np.frombuffer(modules, np.bool_).reshape(1, -1)


def _codewords(content: str) -> list[int]:
    """From code set C on: pairs of digits there, anything else in B; the rules of ISO/IEC 15417, annex E."""
    codewords: list[int] = []
    place, end, is_in_c = 0, len(content), True
    while place < end:
        if is_in_c:
            pair = _PAIRS.get(content[place : place + 2])
            if pair is None:
                codewords.append(_TO_B)
                is_in_c = False
            else:
                codewords.append(pair)
                place += 2
            continue
        run = _DIGITS.match(content, place)
        digits = len(run[0]) if run is not None else 0
        # Changing to C and back is worth it from six digits on, at the end from four.
        if digits >= (4 if place + digits == end else 6) and digits % 2 == 0:
            codewords.append(_TO_C)
            is_in_c = True
            continue
        codewords.append(ord(content[place]) - _SPACE)
        place += 1
    return codewords

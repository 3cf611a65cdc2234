"""CSV packs as an independent reader sees them."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pandas

from tests.embedded.support import needs


def columns_of(*files: bytes) -> dict[str, list[str]]:
    """The columns of the files one after another, all values as text, empty where there is none."""
    frames = [
        pandas.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8")
        for content in files
    ]
    whole = pandas.concat(frames)
    return {str(name): [str(value) for value in whole[name]] for name in whole.columns}


def opened_by_libreoffice(
    content: bytes, columns: int, folder: Path, delimiter: str = ","
) -> bytes:
    """The cells of a file as LibreOffice has them: every column text; commas, every cell quoted, no mark."""
    program = shutil.which("soffice")
    needs(program is not None, "LibreOffice (libreoffice-calc-nogui)")
    source = folder / "pack.csv"
    source.write_bytes(content)
    # Read as text throughout (columns of kind 2), UTF-8 (76); written with every text quoted.
    kinds = "/".join(f"{number}/2" for number in range(1, columns + 1))
    subprocess.run(
        [
            str(program),
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            "--headless",
            f"--infilter=CSV:{ord(delimiter)},34,76,1,{kinds}",
            "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,true",
            "--outdir",
            str(folder / "out"),
            str(source),
        ],
        check=True,
        capture_output=True,
        timeout=100,
    )
    return (folder / "out" / "pack.csv").read_bytes()

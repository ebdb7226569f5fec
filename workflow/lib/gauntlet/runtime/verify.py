"""Find damaged results: `python -m gauntlet.runtime.verify [--remove] [folder]`."""

import argparse
import os
import sys
from pathlib import Path

from gauntlet.runtime import provenance


def main() -> int:
    """Print a sentence for every damaged file; with --remove delete it, to be made again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="results", help="default: results")
    parser.add_argument("--remove", action="store_true", help="remove the files that are named")
    asked = parser.parse_args()
    records = [path for path in Path(asked.folder).rglob(f"*{provenance.ENDING}")]
    found = provenance.damaged(records)
    for path, sentence in found.items():
        print(f"{path} is removed; run again." if asked.remove else sentence)
        if asked.remove:
            os.remove(path)
    print(f"{len(records)} provenance records read, {len(found)} damaged files.")
    return int(bool(found) and not asked.remove)


if __name__ == "__main__":
    sys.exit(main())

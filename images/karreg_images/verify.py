"""Does every blob have the digest that names it?"""
import sys

from .base import FAILED, digest_of
from .catalogue import load_catalogue, rows


def verify_all(arguments):
    bad = 0
    for name, row in rows(load_catalogue(arguments.out)):
        file = arguments.out / "blobs" / row["digest"]
        good = file.exists() and digest_of(file) == row["digest"]
        bad += not good
        print(f"{'ok ' if good else 'BAD'} {name}")
    sys.exit(FAILED if bad else 0)

"""What the catalogue holds, for people."""
from .catalogue import load_catalogue, rows


def list_all(arguments):
    for name, row in rows(load_catalogue(arguments.out)):
        print(f"{name:16} {row['bytes'] >> 20:6} MiB  {row['digest'][:16]}  {row['version']}")

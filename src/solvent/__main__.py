"""`python -m solvent` is `solvent`."""

from solvent.cli.main import run

if __name__ == "__main__":
    run()

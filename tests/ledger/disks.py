"""File systems for SQLite that fail as told: at the k-th call, half-way through a write, by losing what was synced."""

import time
from typing import Literal

import apsw

Mode = Literal["before", "torn", "after"]
"""The call that fails does nothing, half of its write, or all of it without saying so."""


class DyingDisk(apsw.VFS):
    """The system's file system until its `last`-th call that changes something; that one fails, and all after it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.calls, self.last, self.mode = 0, 10**9, "before"

    def set(self, last: int = 10**9, mode: Mode = "before") -> None:
        """Start counting anew."""
        self.calls, self.last, self.mode = 0, last, mode

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "DyingFile":  # noqa: N802
        return DyingFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.passes()
        super().xDelete(filename, syncdir)

    def passes(self) -> bool:
        """Count a call; False where it is the last and must still be done, wholly or by half. Raises otherwise."""
        self.calls += 1
        if self.calls < self.last:
            return True
        if self.calls > self.last or self.mode == "before":
            raise apsw.IOError("the disk died")
        return False


class DyingFile(apsw.VFSFile):
    def __init__(self, disk: DyingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        whole = self.disk.passes()
        super().xWrite(data if whole or self.disk.mode == "after" else data[: len(data) // 2], offset)
        if not whole:
            raise apsw.IOError("the disk died")

    def xSync(self, flags: int) -> None:  # noqa: N802
        whole = self.disk.passes()
        if whole or self.disk.mode == "after":
            super().xSync(flags)
        if not whole:
            raise apsw.IOError("the disk died")

    def xTruncate(self, size: int) -> None:  # noqa: N802
        whole = self.disk.passes()
        if whole or self.disk.mode == "after":
            super().xTruncate(size)
        if not whole:
            raise apsw.IOError("the disk died")


class CachingDisk(apsw.VFS):
    """Writes that were not synced are gone when the power is cut; a lying one drops the syncs too."""

    def __init__(self, name: str, *, lying: bool = False, sync_s: float = 0.0) -> None:
        super().__init__(name, "")
        self.lying, self.sync_s = lying, sync_s
        self.syncs = 0
        self.files: dict[str, CachingFile] = {}

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "CachingFile":  # noqa: N802
        file = CachingFile(self, name, flags)
        self.files[name.filename() if isinstance(name, apsw.URIFilename) else str(name)] = file
        return file

    def cut(self) -> None:
        """Take back, in each file, everything since its last sync."""
        for path, file in self.files.items():
            try:
                with open(path, "r+b") as raw:
                    for offset, old, size in reversed(file.unsynced):
                        raw.seek(offset)
                        raw.write(old)
                        raw.truncate(size)
            except FileNotFoundError:
                continue
        self.files.clear()


class CachingFile(apsw.VFSFile):
    def __init__(self, disk: CachingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk
        self.unsynced: list[tuple[int, bytes, int]] = []
        """(offset, bytes before, size before) of each write."""

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        size = self.xFileSize()
        old = self.xRead(min(len(data), size - offset), offset) if offset < size else b""
        self.unsynced.append((offset, old, size))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        before = self.xFileSize()
        if size < before:
            self.unsynced.append((size, self.xRead(before - size, size), before))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self.disk.syncs += 1
        if self.disk.sync_s:
            time.sleep(self.disk.sync_s)
        super().xSync(flags)
        if not self.disk.lying:
            self.unsynced.clear()

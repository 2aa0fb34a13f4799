"""What all tests share: how hard hypothesis tries, where reference data lies, what is skipped and why."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

ROOT = Path(__file__).parent.parent
NIGHTLY = os.environ.get("SOLVENT_NIGHTLY") == "1"

set_hypothesis_home_dir(str(ROOT / ".cache" / "hypothesis"))
# The same examples on every run and machine: a change is judged by what it does, not by luck.
# No deadlines: kernels compile inside the first example.
settings.register_profile("default", derandomize=True, deadline=None, print_blob=True)
# New examples every night, and many.
settings.register_profile(
    "nightly",
    derandomize=False,
    deadline=None,
    print_blob=True,
    max_examples=2_000,
    stateful_step_count=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("nightly" if NIGHTLY else "default")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference vectors and market data beside the checkout; the product itself never needs them."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference data in ../shared beside the checkout")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("nightly") and not NIGHTLY:
            item.add_marker(pytest.mark.skip(reason="sized for ./test --nightly"))
        for marker in item.iter_markers("system"):
            if shutil.which(marker.args[0]) is None:
                item.add_marker(pytest.mark.skip(reason=f"needs {marker.args[0]}: ./test --install-system"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Above the closing line: the seconds of each folder, and what failed before pytest ran."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folders = Path(report.nodeid.partition("::")[0]).parts[1:-1]
                seconds[folders[0] if folders else "top"] += report.duration
    terminalreporter.write_line("seconds: " + ", ".join(f"{name} {seconds[name]:.0f}" for name in sorted(seconds)))
    if failed := os.environ.get("SOLVENT_CHECKS_FAILED", "").split():
        terminalreporter.write_line(f"checks that failed above: {', '.join(failed)}", red=True, bold=True)

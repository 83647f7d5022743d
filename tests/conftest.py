"""Settings of the whole suite: reproducible Hypothesis runs, plots without a screen, few threads."""

import os
import shutil
from pathlib import Path

MOST_COMPILED = 20_000  # files, some 300 MB: then the folder is begun anew

# Small linear algebra on two cores is slowed by BLAS threads, and xdist already uses both.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# What one worker, command or run compiles the others read. (With a limit on its size JAX reads the whole folder
# at every write. Without one, a file that is just being written may be read: a warning, and compiled again.)
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    folder = Path(__file__).parents[1] / ".pytest_cache" / "d" / "compiled"  # --cache-clear empties it
    folder.mkdir(parents=True, exist_ok=True)
    if len(os.listdir(folder)) > MOST_COMPILED:
        shutil.rmtree(folder, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

from hypothesis import HealthCheck, settings  # noqa: E402


def pytest_configure(config):
    """Most of what is compiled in the fast suite runs once: there JAX compiles as its own tests do, quickly.

    What is slow runs as it does for users.
    """
    if config.option.markexpr == "not slow":
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("default")

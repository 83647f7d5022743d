"""Settings of the whole suite: reproducible Hypothesis runs, plots without a screen, few threads."""

import atexit
import os
import shutil
import tempfile

# Small linear algebra on two cores is slowed by BLAS threads, and xdist already uses both.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# What one worker or command compiles the others read; a limit on the size makes JAX lock the folder.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    folder = os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(2**31)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("default")

"""Measurements. Only ratios within one run count: the same machine gives other absolute figures an hour later."""

import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

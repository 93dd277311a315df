"""Imported before all else of the tests, so before Qt looks for a screen."""

import os

from tests.workers import open_screen

open_screen(os.environ)

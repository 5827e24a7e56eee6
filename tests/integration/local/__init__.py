"""Tests of the local machinery behind `make`."""

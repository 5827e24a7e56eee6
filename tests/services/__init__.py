"""Small services that exercise `lib`; started as processes by the tests."""

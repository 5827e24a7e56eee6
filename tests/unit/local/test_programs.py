"""Telling people what to install, and installing without side effects."""

import pytest

from deploy.local import apt, programs


@pytest.mark.parametrize(
    ("manager", "parts", "line"),
    [
        (
            "apt-get",
            ["rabbitmq", "postgres", "redis"],
            "RabbitMQ, PostgreSQL and Redis not found: "
            "sudo apt-get install -y --no-install-recommends rabbitmq-server postgresql redis-server",
        ),
        ("dnf", ["redis"], "Redis not found: sudo dnf install redis"),
        ("brew", ["rabbitmq", "redis"], "RabbitMQ and Redis not found: brew install rabbitmq redis"),
        ("none", ["postgres"], "PostgreSQL not found: install it with your system's package manager"),
    ],
)
def test_one_line_says_exactly_what_to_install(manager, parts, line):
    assert programs.how_to_install(parts, which=lambda name: name if name == manager else None) == line


@pytest.fixture
def paths(tmp_path):
    return {"policy": tmp_path / "policy-rc.d", "cluster": tmp_path / "common" / "cluster.d" / "ours.conf"}


def test_packages_start_nothing_while_they_are_installed(paths):
    with apt.quiet(**paths):
        assert paths["policy"].read_text().endswith("exit 101\n")
        assert paths["policy"].stat().st_mode & 0o111
        assert "create_main_cluster = false" in paths["cluster"].read_text()

    assert not paths["policy"].exists()
    assert not paths["cluster"].parent.parent.exists()


def test_the_switches_are_removed_after_a_failure_too(paths):
    with pytest.raises(KeyboardInterrupt), apt.quiet(**paths):
        raise KeyboardInterrupt

    assert not paths["policy"].exists()
    assert not paths["cluster"].exists()


def test_somebody_elses_policy_stays(paths):
    paths["policy"].write_text("#!/bin/sh\nexit 101\n")

    with apt.quiet(**paths):
        assert paths["policy"].read_text() == "#!/bin/sh\nexit 101\n"

    assert paths["policy"].exists()


def test_what_a_killed_installation_left_behind_is_removed(paths):
    paths["policy"].write_text(f"#!/bin/sh\n{apt.MARK}exit 101\n")

    with apt.quiet(**paths):
        pass

    assert not paths["policy"].exists()


def test_a_folder_that_the_package_uses_stays(paths):
    with apt.quiet(**paths):
        (paths["cluster"].parent / "theirs.conf").touch()

    assert (paths["cluster"].parent / "theirs.conf").exists()
    assert not paths["cluster"].exists()

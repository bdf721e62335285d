"""The machine: Debian's packages, which core does what, free ports, and what versions are measured."""

import os
import platform
import re
import resource
import shutil
import socket
import subprocess

#: Command to look for, and the Debian package that has it.
PACKAGES = {
    "haproxy": "haproxy",
    "nginx": "nginx",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "curl": "curl",
    "openssl": "openssl",
    "cc": "gcc libc6-dev",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
}

#: The core of the proxy, and that of the load generator and the upstream.
PROXY_CORES = {0}
LOAD_CORES = {1}
#: What nothing is measured by may use.
ALL_CORES = os.sched_getaffinity(0)


def program(name):
    """The path of a program, also where Debian keeps servers; None where there is none."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return shutil.which(name, path=path)


def install_missing():
    """Installs what is missing, as tools/test does; says what to install where it may not."""
    missing = sorted({package for name, package in PACKAGES.items() if not program(name)})
    if not missing:
        return
    packages = " ".join(missing).split()
    if os.geteuid() != 0:
        command = "apt-get install --no-install-recommends " + " ".join(packages)
        raise SystemExit(f"these are missing; install them as root, then run this again:\n    {command}")
    print("installing", *packages, flush=True)
    # Debian starts the service of a package that it installs, unless this file forbids it.
    policy = "/usr/sbin/policy-rc.d"
    ours = not os.path.exists(policy)
    if ours:
        with open(policy, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(
            ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages],
            check=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    finally:
        if ours:
            os.remove(policy)


def take_its_place():
    """Moves this process to the core of the load, as some load is of its own making, and lets it and what it starts open as many
    files as the system allows. Ends it where there are no two cores."""
    if not (PROXY_CORES | LOAD_CORES) <= ALL_CORES:
        raise SystemExit("this needs two cores: one for the proxy, one for the load and the upstream")
    os.sched_setaffinity(0, LOAD_CORES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files(), most_files()))


def most_files():
    """How many files a process may open at the most."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def free_port():
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def describe(doorward):
    """What is measured on what, for the report. Names no person, path or host."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "doorward": _said([doorward, "--version"]),
        "commit": _said(["git", "describe", "--always", "--dirty", "--abbrev=10"]),
        "haproxy": _said([program("haproxy"), "-v"], r"version (\S+)"),
        "nginx": _said([program("nginx"), "-v"], r"nginx/(\S+)"),
        "wrk": _said([program("wrk"), "-v"], r"wrk (\S+)"),
        "h2load": _said([program("h2load"), "--version"], r"nghttp2/(\S+)"),
    }


def _processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"model name\s*: (.*)", file.read())
    return found[1] if found else platform.machine()


def _said(command, pattern=r"(.*)"):
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, ended.stdout + ended.stderr)
    return found[1].strip() if found else "unknown"

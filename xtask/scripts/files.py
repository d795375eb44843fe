#!/usr/bin/env python3
"""File to file over loopback: LFTP beside scp, rsync over ssh, and curl from nginx with TLS.

    cargo build --release && python3 xtask/scripts/files.py [--mib 1024] [--files 10000] [--rounds 3]

One large file, then a tree of small ones. Every round runs all programs one after another, so
that whatever else the machine does meets them alike. What is not installed is left out, and
said so. LFTP waits for the disk by default, the others do not: both ways are timed.
"""

import argparse
import contextlib
import filecmp
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    """Where a program is, also those that only root has on the path."""
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def run(command, **more):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)


@contextlib.contextmanager
def daemon(command, port, **more):
    """Runs a server until the block ends; with a TCP port, waits until it answers."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        for _ in range(200):
            if child.poll() is not None:
                raise RuntimeError(f"{command[0]} ended at once with {child.returncode}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


class Place:
    """Where everything is, and the servers that the programs need."""

    def __init__(self, work, target):
        self.work, self.target = work, target
        self.there = work / "there"
        self.there.mkdir()
        self.servers = contextlib.ExitStack()

    def lftp(self, *more):
        root = self.work / "lftp"
        command = [
            self.target / "lftp-server", "--root", root, "--listen", "127.0.0.1:0",
            "--data-ports", "same", "--key", self.work / "server.key",
            "--anonymous", "rw", "--log", "off", *more,
        ]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.servers.callback(child.wait)
        self.servers.callback(child.terminate)
        told = [child.stdout.readline().split() for _ in range(3)]
        host, key = told[0][-1], told[2][1]
        options = ["--quiet", "--server-key", key, "--key", self.work / "client.key"]

        def put(source, name):
            recursive = ["-r"] if source.is_dir() else []
            run([self.target / "lftp-client", "put", *recursive, source, host, "--name", name, *options])
            return root / name

        return put

    def ssh(self):
        keygen, sshd = program("ssh-keygen"), program("sshd")
        if not (keygen and sshd and program("ssh")):
            return None
        port = free_port()
        for name in ["host", "user"]:
            run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", self.work / name])
        config = self.work / "sshd_config"
        config.write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.work}/host\n"
            f"AuthorizedKeysFile {self.work}/user.pub\nPidFile none\nStrictModes no\n"
            "UsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        )
        os.makedirs("/run/sshd", exist_ok=True)
        self.servers.enter_context(daemon([sshd, "-D", "-f", config], port))
        return port, [
            "-i", str(self.work / "user"), "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
        ]

    def scp(self, port, options):
        def put(source, name):
            run(["scp", "-q", "-r", "-P", str(port), *options, source, f"127.0.0.1:{self.there / name}"])
            return self.there / name

        return put

    def rsync(self, port, options):
        def put(source, name):
            shell = " ".join(["ssh", "-p", str(port), *options])
            whole = f"{source}/" if source.is_dir() else source
            run(["rsync", "-a", "-W", "-e", shell, whole, f"127.0.0.1:{self.there / name}"])
            return self.there / name

        return put

    def curl(self, served):
        nginx = program("nginx")
        if not (nginx and program("curl") and program("openssl")):
            return None
        port = free_port()
        run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", self.work / "tls.key",
             "-out", self.work / "tls.crt"],
            stderr=subprocess.DEVNULL,
        )
        config = self.work / "nginx.conf"
        config.write_text(
            f"daemon off; user root; pid {self.work}/nginx.pid; error_log /dev/null; events {{}}\n"
            f"http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port} ssl;\n"
            f"ssl_certificate {self.work}/tls.crt; ssl_certificate_key {self.work}/tls.key;\n"
            f"root {served}; }} }}\n"
        )
        self.servers.enter_context(daemon([nginx, "-c", config], port))

        def get(source, name):
            url = f"https://localhost:{port}/{source.name}"
            run(["curl", "-s", "-f", "--cacert", self.work / "tls.crt", "-o", self.there / name, url])
            return self.there / name

        return get


def same(ours, theirs):
    if ours.is_file():
        return filecmp.cmp(ours, theirs, shallow=False)
    names = sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    equal, different, missing = filecmp.cmpfiles(ours, theirs, names, shallow=False)
    return len(equal) == len(names) and not different and not missing


def compare(title, source, programs, rounds):
    took = {name: [] for name in programs}
    for turn in range(rounds):
        for name, carry in programs.items():
            # What is not yet written keeps a disk busy that others would pay for.
            os.sync()
            begin = time.monotonic()
            arrived = carry(source, f"copy-{turn}-{name}")
            took[name].append(time.monotonic() - begin)
            if not same(source, arrived):
                sys.exit(f"{name}: what arrived is not what was sent")
            # Trees stay: where thousands of files have just been removed ext4 takes seconds to
            # find inodes for new ones, whoever makes them.
            if arrived.is_file():
                arrived.unlink()
    print(f"\n{title}, {rounds} rounds; medians, and ratios to lftp in the same round")
    for name, seconds in took.items():
        ratio = statistics.median(own / first for own, first in zip(seconds, took["lftp"]))
        print(f"  {name:<16} {statistics.median(seconds):8.3f} s   x {ratio:5.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="of the large file; 0: none")
    parser.add_argument("--files", type=int, default=10_000, help="of the tree; 0: none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--target", type=pathlib.Path, help="where the release binaries are")
    options = parser.parse_args()
    target = options.target or pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        here = work / "here"
        here.mkdir()
        place = Place(work, target)
        with place.servers:
            programs = {"lftp": place.lftp(), "lftp, no fsync": place.lftp("--no-fsync")}
            ssh = place.ssh()
            if ssh:
                programs["scp"] = place.scp(*ssh)
                if program("rsync"):
                    programs["rsync over ssh"] = place.rsync(*ssh)
            missing = [name for name in ["sshd", "rsync", "nginx", "curl"] if not program(name)]
            if missing:
                print(f"not installed, so left out: {', '.join(missing)}")
            chance = random.Random(1)
            if options.mib:
                large = here / "large"
                with large.open("wb") as file:
                    for _ in range(options.mib):
                        file.write(chance.randbytes(1 << 20))
                curl = place.curl(here)
                one = programs | ({"curl and nginx": curl} if curl else {})
                compare(f"{options.mib} MiB in one file", large, one, options.rounds)
                large.unlink()
            if options.files:
                tree = here / "tree"
                for index in range(options.files):
                    folder = tree / f"{index % 100:02}"
                    folder.mkdir(parents=True, exist_ok=True)
                    length = chance.randrange(1, 20_000)
                    (folder / f"{index:06}").write_bytes(chance.randbytes(length))
                compare(f"{options.files} files of 1 to 20,000 bytes", tree, programs, options.rounds)


if __name__ == "__main__":
    main()

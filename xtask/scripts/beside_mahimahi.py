#!/usr/bin/env python3
"""netem beside mahimahi: what was asked of each, what came out, how late, and at what cost.

    cargo build --release -p lftp-netem
    python3 xtask/scripts/beside_mahimahi.py [--mahimahi DIR] [--seconds 10] [--real-time]

DIR has mm-delay, mm-loss and mm-link of github.com/ravinet/mahimahi, each owned by root and with
the set-user-id bit (mahimahi refuses to be run by root, so as root this script runs it as
nobody; it also wants net.ipv4.ip_forward=1). Without DIR only netem is measured. --real-time has
both run before everything else (chrt, which needs root): what an idle machine would give, on one
that is not.

A sender sends packets with the time in them; the kernel stamps them when they come, so only the
sender's own pauses, and those of the emulator, are in the delay. The processor's time is the
emulator's alone, there and back: that of all its processes, less the sender's.
"""

import argparse
import contextlib
import os
import pathlib
import resource
import select
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SO_TIMESTAMPNS = 35
IP_UDP_BYTES = 28
STAMP = struct.Struct("!Q")


def send(host, port, payload, rate, seconds, told):
    """Packets evenly spaced; writes their number and this process's time to the file `told`."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((host, port))
    fill = bytes(payload - STAMP.size)
    started, sent, failed = time.monotonic(), 0, 0
    while (elapsed := time.monotonic() - started) < seconds:
        due = int(elapsed * rate)
        if sent >= due:
            time.sleep(max(0, (sent + 1) / rate - elapsed))
            continue
        with contextlib.suppress(OSError):
            out.send(STAMP.pack(time.time_ns()) + fill)
        sent += 1
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    pathlib.Path(told).write_text(f"{sent} {spent}")


class Receiver:
    """Delays in nanoseconds and times of arrival of what comes to a port."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("0.0.0.0", 0))
        self.port = self.socket.getsockname()[1]

    def take(self, child):
        """Everything that comes while `child` runs and half a second after."""
        delays, arrivals, bytes_in = [], [], 0
        ended = None
        while ended is None or time.monotonic() - ended < 0.5:
            if ended is None and child.poll() is not None:
                ended = time.monotonic()
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            data, control, _, _ = self.socket.recvmsg(2048, 64)
            seconds, nanos = struct.unpack("qq", control[0][2])
            arrived = seconds * 1_000_000_000 + nanos
            delays.append(arrived - STAMP.unpack_from(data)[0])
            arrivals.append(arrived)
            bytes_in += len(data) + IP_UDP_BYTES
        return delays, arrivals, bytes_in


def measure(shell, host, payload, rate, seconds):
    """Runs the sender by `shell(command)`, which starts it behind an emulator."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        told = pathlib.Path(folder, "told")
        receiver = Receiver()
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        words = [sys.executable, __file__, "--send", host, str(receiver.port), str(payload),
                 str(rate), str(seconds), str(told)]
        child, end = shell(words, receiver.port)
        delays, arrivals, bytes_in = receiver.take(child)
        child.wait()
        end()
        spent = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
        sent, own = told.read_text().split()
    sent = int(sent)
    delays.sort()
    at = lambda share: delays[int(share * (len(delays) - 1))] / 1e6
    span = (max(arrivals) - min(arrivals)) / 1e9
    return {
        "sent": sent,
        "lost": 100 * (1 - len(delays) / sent),
        "delay": (at(0), at(0.5), at(0.99)),
        "rate": bytes_in * 8 / span / 1e6,
        "us": (spent - float(own)) / sent * 1e6,
    }


def nothing():
    """Nothing is left to be ended."""


def mahimahi(prefix, folder, words):
    if os.geteuid() == 0:
        prefix = [*prefix, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def shell(command, _):
        # sh, so that the host's address is known.
        text = " ".join(shlex.quote(word) for word in command)
        text = text.replace("BASE", '"$MAHIMAHI_BASE"')
        whole = [*prefix, str(folder / words[0]), *words[1:], "sh", "-c", text]
        environment = {**os.environ, "USER": "nobody", "HOME": "/tmp", "SHELL": "/bin/sh"}
        return subprocess.Popen(whole, env=environment), nothing

    return shell, "BASE"


def proxy(prefix, target, settings):
    def shell(command, port):
        whole = [*prefix, str(target / "netem"), "proxy", "--listen", "127.0.0.1:0",
                 "--to", f"127.0.0.1:{port}"]
        for setting in settings:
            whole += ["--set", setting]
        child = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = child.stderr.readline()
        command[4] = line.split(",")[0].rsplit(":", 1)[1]

        def end():
            child.terminate()
            child.communicate()

        return subprocess.Popen(command), end

    return shell, "127.0.0.1"


def main():
    if sys.argv[1:2] == ["--send"]:
        host, port, payload, rate, seconds, told = sys.argv[2:]
        send(host, int(port), int(payload), float(rate), float(seconds), told)
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mahimahi", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--real-time", action="store_true")
    args = parser.parse_args()
    base = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    target = base / "release"
    prefix = ["chrt", "-f", "1"] if args.real_time and shutil.which("chrt") else []

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        trace = pathlib.Path(folder, "12mbit")
        trace.write_text("1\n")
        queue = ["--uplink-queue=droptail", "--uplink-queue-args=packets=100"]
        # What is asked, mahimahi's words, netem's, payload in bytes, packets a second.
        asked = [
            ("20 ms", ["mm-delay", "20"], ["delay=20ms"], 1172, 1000),
            ("20 ms", ["mm-delay", "20"], ["delay=20ms"], 1172, 5000),
            ("5 % lost", ["mm-loss", "uplink", "0.05"], ["loss=5%"], 1172, 5000),
            (
                "12 Mbit/s",
                ["mm-link", str(trace), str(trace), *queue, "--"],
                ["mahimahi=\"1\"", "queue=100p"],
                1472,
                1500,
            ),
        ]
        print("| asked | packets/s | by | lost | delay least, median, 99 % | Mbit/s | µs of a processor a packet |")
        print("|---|---|---|---|---|---|---|")
        for name, theirs, ours, payload, rate in asked:
            shells = []
            if args.mahimahi:
                shells.append(("mahimahi", mahimahi(prefix, args.mahimahi.resolve(), theirs)))
            shells.append(("netem proxy", proxy(prefix, target, ours)))
            for who, (shell, host) in shells:
                got = measure(shell, host, payload, rate, args.seconds)
                delay = ", ".join(f"{ms:.3f}" for ms in got["delay"])
                print(
                    f"| {name} | {rate} | {who} | {got['lost']:.2f} % | {delay} ms | "
                    f"{got['rate']:.3f} | {got['us']:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

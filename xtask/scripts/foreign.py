#!/usr/bin/env python3
"""Foreign programs through netem, and what they themselves report beside what was asked for.

    cargo build --release -p lftp-netem
    cargo build --release -p xtask --example quinn_put
    python3 xtask/scripts/foreign.py [--seconds 10] [--markdown] [--real-time]

quinn, client and server over real sockets, and iperf3 -u go through `netem proxy`; iperf3 with
TCP goes through `netem exec`, which needs user namespaces or root. What is not installed is left
out, and said so. --real-time has netem run before everything else (chrt, which needs root): what
an idle machine would give, on one that is not. A run that netem calls invalid (it was late, or lost packets itself) is marked.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of a packet of 1,500 bytes on an Ethernet-like link, TCP has this much for data: 20 bytes are
# the IP header's, 20 TCP's, 12 its time stamps'.
TCP_SHARE = 1448 / 1500
UDP_HEADERS = 28
# What netem is started by.
PREFIX = []


def free_port(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    """`netem proxy` in front of a server, as long as the block lasts; then its report."""

    def __init__(self, target, port, network):
        self.port = free_port()
        command = [
            *PREFIX, target / "netem", "proxy", "--json", "--listen", f"127.0.0.1:{self.port}",
            "--to", f"127.0.0.1:{port}",
        ]
        for setting in network:
            command += ["--set", setting]
        self.child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.child.stderr.readline()
        if not line.startswith("listening"):
            raise RuntimeError(line + self.child.stderr.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        out, _ = self.child.communicate()
        self.report = json.loads(out)


@contextlib.contextmanager
def server(command, ready):
    """A server until the block ends; yields the line in which it says that it is ready."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = child.stdout.readline()
        while line and not line.startswith(ready):
            line = child.stdout.readline()
        yield line
    finally:
        child.terminate()
        child.communicate()


def quinn(target, control, network, megabytes):
    program = target / "examples" / "quinn_put"
    with server([program, "server"], "listening") as line:
        with Proxy(target, int(line.rsplit(":", 1)[1]), network) as proxy:
            command = [
                program, "client", f"127.0.0.1:{proxy.port}", str(megabytes * 1_000_000), control,
            ]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(told.stdout), proxy.report


def iperf_udp(target, network, rate, length, seconds):
    port = free_port(socket.SOCK_STREAM)
    command = ["iperf3", "-s", "-p", str(port), "-1", "--forceflush"]
    with server(command, "Server listening"):
        # iperf3 sets up its test over TCP at the same port: the control connection goes past the
        # network, its datagrams through it.
        with Relay(target, port, network) as relay:
            command = [
                "iperf3", "-c", "127.0.0.1", "-p", str(relay.port), "-u", "-b", rate,
                "-l", str(length), "-t", str(seconds), "-J",
            ]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    end = json.loads(told.stdout)["end"]
    return end.get("sum_received", end["sum"]), relay.report


class Relay(Proxy):
    """The proxy for UDP, and a plain relay for TCP at the same port."""

    def __init__(self, target, port, network):
        super().__init__(target, port, network)
        self.tcp = subprocess.Popen(
            ["socat", f"TCP-LISTEN:{self.port},bind=127.0.0.1,reuseaddr,fork",
             f"TCP:127.0.0.1:{port}"]
        )
        time.sleep(0.3)

    def __exit__(self, *exception):
        self.tcp.terminate()
        self.tcp.wait()
        super().__exit__(*exception)


def iperf_tcp(target, network, seconds):
    """Both ends in namespaces of their own."""
    with tempfile.TemporaryDirectory() as folder:
        told, report = pathlib.Path(folder, "told"), pathlib.Path(folder, "report")
        command = [*PREFIX, target / "netem", "exec", "--quiet", "--report", report]
        for setting in network:
            command += ["--set", setting]
        # The peer's own words must not be taken for the client's.
        command += ["--peer", "exec iperf3 -s > /dev/null"]
        command += ["--", "sh", "-c", f"iperf3 -c $NETEM_SERVER -t {seconds} -J > {told}"]
        ran = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if not told.exists() or not report.exists():
            raise RuntimeError(ran.stderr)
        return json.loads(told.read_text()), json.loads(report.read_text())


def share(lost, sent):
    return f"{100 * lost / sent:.2f} %" if sent else "-"


def mbit(bps):
    return f"{bps / 1e6:.2f} Mbit/s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--real-time", action="store_true")
    args = parser.parse_args()
    if args.real_time:
        PREFIX.extend(["chrt", "-f", "1"])
    base = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    target = base / "release"

    rows = [("program", "asked of the network", "what it reports", "what the link counted", "run")]

    def row(program, network, reports, report, way="forward"):
        counted = validity = "-"
        if report:
            lost = sum(report[way][key] for key in ("lost_wire", "lost_burst"))
            queue = report[way]["queue_drops"]
            entered = report[way]["packets_in"]
            counted = (
                f"{entered} packets, {share(lost, entered)} lost, "
                f"{share(queue, entered)} dropped by the queue"
            )
            validity = "valid" if report["valid"] else "NOT VALID"
            validity += f", late p99 {report['lateness']['p99_ns'] / 1e6:.2f} ms"
        rows.append((program, ", ".join(network), reports, counted, validity))

    networks = [
        ["rate=20mbit", "delay=20ms"],
        ["rate=20mbit", "delay=20ms", "loss=1%"],
        ["rate=5mbit", "delay=100ms", "loss=2%"],
    ]
    for network, control in zip(networks, ["cubic", "bbr", "bbr"]):
        megabytes = max(1, int(network[0][5:-4]) * args.seconds // 10)
        told, report = quinn(target, control, network, megabytes)
        row(
            f"quinn, {control}",
            network,
            f"{mbit(told['goodput_bps'])}, RTT from {told['rtt_least_ms']:.1f} ms, "
            f"{share(told['lost_packets'], told['sent_packets'])} lost",
            report,
        )

    if shutil.which("iperf3") and shutil.which("socat"):
        for network, rate in [
            (["rate=20mbit", "delay=20ms"], "10M"),
            (["rate=20mbit", "delay=20ms", "loss=5%"], "10M"),
            (["rate=20mbit", "delay=20ms"], "40M"),
            (["rate=20mbit", "delay=20ms", "jitter=2ms"], "10M"),
        ]:
            told, report = iperf_udp(target, network, rate, 1200, args.seconds)
            row(
                f"iperf3 -u -b {rate} -l 1200",
                network,
                f"{mbit(told['bits_per_second'])} (with headers "
                f"{mbit(told['bits_per_second'] * (1200 + UDP_HEADERS) / 1200)}), "
                f"{told['lost_percent']:.2f} % lost, jitter {told['jitter_ms']:.2f} ms",
                report,
            )
    else:
        rows.append(("iperf3 -u", "", "iperf3 or socat is not installed", "-", "-"))

    if shutil.which("iperf3"):
        for network in networks[:2]:
            told, report = iperf_tcp(target, network, args.seconds)
            end = told["end"]
            sender = end["streams"][0]["sender"]
            rate = end["sum_received"]["bits_per_second"]
            row(
                f"iperf3, TCP {end.get('sender_tcp_congestion', '')}",
                network,
                f"{mbit(rate)} (with headers {mbit(rate / TCP_SHARE)}), RTT from "
                f"{sender['min_rtt'] / 1e3:.1f} ms, {sender['retransmits']} repeats",
                report,
            )

    if args.markdown:
        lines = [f"| {' | '.join(cells)} |" for cells in rows]
        lines.insert(1, "|" + "---|" * len(rows[0]))
        print("\n".join(lines))
        return
    for program, network, reports, counted, validity in rows[1:]:
        print(f"{program}: {network}\n  reports: {reports}\n  link:    {counted}\n  run:     {validity}")


if __name__ == "__main__":
    main()

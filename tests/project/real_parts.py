"""Installs or builds the programs of other people that the tests marked `real` talk to.

Each is had once and then found: those of Debian on PATH, those built from the Go module proxy in .cache/bin. What
cannot be had is named with the reason, and the tests that need it are skipped by name; the exit status stays 0, for an
absent program is no fault of this tree. Arguments choose some of the programs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate" / "parts"
"""What was built, by version: the user's, so that another clone finds it."""
SYSTEM_PROGRAMS = "/usr/sbin:/sbin"
"""Where Debian puts servers, and ordinary users' PATH does not look."""
GO_LANGUAGE = "1.22"
"""Older than which Go need not be, and newer than which older programs do not build."""
TIMEOUT = 600.0
"""Seconds for one installation: chromium is 100 MB and more with what it depends on."""
KUBERNETES_TIMEOUT = 1200.0
"""Seconds. Kubernetes compiles for five minutes on two idle cores."""


@dataclass(frozen=True, slots=True)
class Part:
    """`program` is what PATH must offer; it comes from a Debian `package` or a Go `module` (path@version), or is
    somebody else's to install.

    `replacing`: the module replaces some of those it depends on, which `go install` refuses to do.
    """

    program: str
    purpose: str
    package: str = ""
    module: str = ""
    replacing: bool = False

    @property
    def place(self) -> Path:
        """The folder of a program that is built."""
        return CACHE / self.module.rpartition("@")[2]


KUBERNETES = "k8s.io/kubernetes"

PARTS = (
    Part("curl", "HTTP/1.1, HTTP/2 and TLS as users speak them", package="curl"),
    Part("openssl", "TLS without SNI, without ALPN, with client certificates", package="openssl"),
    Part("nghttp", "HTTP/2 frames as another implementation sends them", package="nghttp2-client"),
    Part("h2load", "HTTP/2 load, the second opinion of the bench", package="nghttp2-client"),
    Part("nghttpx", "a peer of the bench", package="nghttp2-proxy"),
    Part("nginx", "a peer of the bench, and a balancer in front of the gateway", package="nginx"),
    Part("haproxy", "a peer of the bench, and its TCP relay", package="haproxy"),
    Part("ip", "network namespaces, to drop a backend's packets", package="iproute2"),
    Part("chromium", "the admin pages in a browser", package="chromium"),
    Part("etcd", "a registry that servers are found in, and the store of kube-apiserver", package="etcd-server"),
    Part(
        # Of 1.10.0, but of no later version, the module proxy holds all modules.
        "consul",
        "a registry that servers are found in",
        module="github.com/hashicorp/consul@v1.10.0",
        replacing=True,
    ),
    Part("grpcurl", "the lines that `tidegate up` prints", module="github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"),
    Part(
        # 4.9 of February 2022, the newest that the module proxy holds.
        "terraform-provider-google",
        "a load balancer in the twin by Terraform",
        module="github.com/hashicorp/terraform-provider-google@v1.20.1-0.20220201002249-bc5fcb3c89a5",
    ),
    Part("terraform", "a load balancer in the twin by Terraform"),
    Part("gcloud", "a load balancer in the twin by gcloud"),
    Part("kube-apiserver", "EndpointSlices, Services and RBAC", module=f"{KUBERNETES}/cmd/kube-apiserver@v1.34.2"),
)


class Absent(Exception):
    """A part cannot be had here; the message says why."""


def main(programs: Sequence[str]) -> int:
    """Prints one line for each of these programs, or for all."""
    apt = Apt()
    for part in [part for part in PARTS if not programs or part.program in programs]:
        try:
            state = "found" if find(part.program) else obtain(part, apt)
        except Absent as reason:
            state = f"skipped: {reason}"
        print(f"  {part.program:<14} {part.purpose:<68} {state}", flush=True)
    return 0


def search_path() -> str:
    """PATH, with the folders of what was built before it and of servers behind it."""
    built = dict.fromkeys(str(part.place) for part in PARTS if part.module)
    return os.pathsep.join((*built, os.environ.get("PATH", os.defpath), SYSTEM_PROGRAMS))


def find(program: str) -> str | None:
    """The program's path, if it is installed or was built here."""
    return shutil.which(program, path=search_path())


def obtain(part: Part, apt: Apt) -> str:
    """Installs or builds the part. Raises Absent."""
    if part.package:
        apt.install(part.package)
    elif not part.module:
        raise Absent("neither Debian nor the Go module proxy has it; where it is installed it is used")
    elif part.module.startswith(KUBERNETES):
        build_kubernetes(part)
    else:
        build(part)
    if not find(part.program):
        raise Absent(f"{part.package or part.module} has no program {part.program}")
    return "installed" if part.package else "built"


class Apt:
    """Debian's packages; the lists are updated once, before the first installation."""

    def __init__(self) -> None:
        self._updated = False

    def install(self, package: str) -> None:
        """Raises Absent without apt-get, without root, or with the last line that apt-get said."""
        if shutil.which("apt-get") is None:
            raise Absent(f"no apt-get here to install {package}")
        if os.geteuid() != 0:
            raise Absent(f"needs root: apt-get install {package}")
        if not self._updated:
            run("apt-get", "update", "-qq")
            self._updated = True
        run("apt-get", "install", "--yes", "-qq", "--no-install-recommends", package)


def build(part: Part) -> None:
    """Raises Absent without Go, or with the last line that it said."""
    if shutil.which("go") is None:
        raise Absent(f"needs Go to build {part.module}")
    part.place.mkdir(parents=True, exist_ok=True)
    if not part.replacing:
        run("go", "install", part.module, GOBIN=str(part.place))
        return
    # As a dependency of an empty module the program is built with the versions that its own requirements name.
    with tempfile.TemporaryDirectory() as folder:
        run("go", "mod", "init", "part.test", folder=folder)
        run("go", "mod", "edit", f"-go={GO_LANGUAGE}", folder=folder)
        run("go", "get", part.module, folder=folder)
        package = part.module.partition("@")[0]
        run("go", "build", "-o", str(part.place / part.program), package, folder=folder)


def build_kubernetes(part: Part) -> None:
    """`go install` refuses Kubernetes, because its go.mod replaces modules of its own by folders (golang/go#44840). A
    module made here requires it, and those as they were published. Raises Absent as `build`."""
    if shutil.which("go") is None:
        raise Absent(f"needs Go to build {part.module}")
    package, _, version = part.module.partition("@")
    part.place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        go_mod = f"module built\n\ngo 1.24.0\n\nrequire {KUBERNETES} {version}\n"
        (place / "go.mod").write_text(go_mod)
        go = ("go", "-C", folder)
        run(*go, "mod", "download", f"{KUBERNETES}@{version}")
        source = Path(run(*go, "list", "-m", "-f", "{{.Dir}}", KUBERNETES).strip())
        own = re.findall(r"^\s+(k8s\.io/\S+) => \./staging/", (source / "go.mod").read_text(), re.MULTILINE)
        staged = "v0." + version.removeprefix("v1.")
        (place / "go.mod").write_text(go_mod + "".join(f"replace {module} => {module} {staged}\n" for module in own))
        for file in (source / package.removeprefix(f"{KUBERNETES}/")).glob("*.go"):
            if not file.name.endswith("_test.go"):
                shutil.copyfile(file, place / file.name)
        run(*go, "mod", "tidy")
        built = place / part.program
        build_it = (*go, "build", "-p", "2", "-ldflags", "-s -w", "-o", str(built), ".")
        run("nice", "-n", "15", *build_it, timeout=KUBERNETES_TIMEOUT)
        shutil.move(built, part.place / part.program)


def run(*command: str, timeout: float = TIMEOUT, folder: str | None = None, **environment: str) -> str:
    """Runs a command without input, in a `folder`, and returns its output. Raises Absent when it fails."""
    # Run level 1 keeps Debian's scripts from starting the servers that they install.
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", **environment}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Absent(f"{' '.join(command)} took more than {timeout:.0f} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise Absent(f"{' '.join(command)} failed: {said}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

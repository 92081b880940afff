"""The three kinds of remote that a team may share, real ones on this machine's loopback."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest

from tests.files import damage, flip_a_byte
from tests.project import Clone

LOOPBACK = "127.0.0.1"
# Root may read anything; without these it is refused what its owner may not read, like any user.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])


def start(command: list[str], port: int, log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a server and return when it answers on `port`."""
    with log.open("wb") as stream:
        server = subprocess.Popen(command, env=os.environ | env, stdout=stream, stderr=stream)
    for _ in range(300):
        try:
            socket.create_connection((LOOPBACK, port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return server
    end(server)
    pytest.fail(f"{command[0]} does not answer: {log.read_text()}")


def end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait()


class Remote(ABC):
    """A place that keeps outputs by their md5, and what can go wrong with it."""

    stopped: str  # what DVC says of one that is unreachable
    refused: str  # and of one that refuses the clone

    @abstractmethod
    def connect(self, clone: Clone) -> None:
        """Point `storage` of one clone here, with credentials, as the README says."""

    @abstractmethod
    def damage(self, md5: str) -> None:
        """Flip a byte of the object that holds the output with this md5."""

    @abstractmethod
    def stop(self) -> None:
        """Make it unreachable."""

    @abstractmethod
    def refuse(self, clone: Clone) -> None:
        """Make it refuse this clone."""


class Folder(Remote):
    """The committed default, a folder in the home that the clones of one machine share."""

    stopped = "Not a directory"
    refused = "Permission denied"

    def __init__(self, root: Path) -> None:
        self.root = root

    def connect(self, clone: Clone) -> None:
        """Nothing to do."""

    def damage(self, md5: str) -> None:
        damage(self.root / "files/md5" / md5[:2] / md5[2:])

    def stop(self) -> None:
        """Leave a file in its place, as an unmounted drive leaves what lies beneath."""
        self.root.rename(self.root.with_name("elsewhere"))
        self.root.touch()

    def refuse(self, clone: Clone) -> None:
        self.root.chmod(0)
        clone.prefix = UNPRIVILEGED if os.geteuid() == 0 else ()


class S3(Remote):
    """A bucket of moto's server, which checks signatures and policies as S3 does."""

    stopped = "Could not connect to the endpoint URL"
    refused = "(signature|Forbidden)"
    BUCKET = "team"
    SET_UP = 4  # requests that the server takes from anybody, before it asks for a signature
    POLICY = """{
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    }"""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"http://{LOOPBACK}:{self.port}"
        self.server = start(
            [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(self.port)],
            self.port,
            folder / "moto.log",
            {"INITIAL_NO_AUTH_ACTION_COUNT": str(self.SET_UP)},
        )
        anybody = {"AccessKeyId": "anybody", "SecretAccessKey": "anything"}
        iam = self.client("iam", anybody)
        iam.create_user(UserName="member")
        iam.put_user_policy(UserName="member", PolicyName="all", PolicyDocument=self.POLICY)
        self.key = iam.create_access_key(UserName="member")["AccessKey"]
        self.client("s3", anybody).create_bucket(Bucket=self.BUCKET)

    def client(self, service: str, key: dict[str, str]) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.address,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

    def connect(self, clone: Clone) -> None:
        modify = "dvc", "remote", "modify", "--local", "storage"
        clone.run(*modify, "url", f"s3://{self.BUCKET}/mnist")
        clone.run(*modify, "endpointurl", self.address)
        clone.env["AWS_MAX_ATTEMPTS"] = "1"  # the fifth failure would say the same, later
        clone.env["AWS_ACCESS_KEY_ID"] = self.key["AccessKeyId"]
        clone.env["AWS_SECRET_ACCESS_KEY"] = self.key["SecretAccessKey"]

    def damage(self, md5: str) -> None:
        client = self.client("s3", self.key)
        place = {"Bucket": self.BUCKET, "Key": f"mnist/files/md5/{md5[:2]}/{md5[2:]}"}
        content = client.get_object(**place)["Body"].read()
        client.put_object(**place, Body=flip_a_byte(content))

    def stop(self) -> None:
        end(self.server)

    def refuse(self, clone: Clone) -> None:
        clone.env |= {"AWS_SECRET_ACCESS_KEY": "wrong"}


class SSH(Folder):
    """A folder behind OpenSSH's server, which serves this user's key alone."""

    stopped = "Connect call failed"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "served")
        self.folder = folder
        folder.mkdir()
        for name in "host_key", "client_key", "stranger_key":
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
            )
        self.port = free_port()
        settings = f"""
            ListenAddress {LOOPBACK}
            Port {self.port}
            HostKey {folder}/host_key
            AuthorizedKeysFile {folder}/client_key.pub
            AuthenticationMethods publickey
            PidFile none
            StrictModes no
            Subsystem sftp internal-sftp
            UsePAM no
        """
        (folder / "sshd_config").write_text(settings)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd asks for it, a boot would have made it
        assert SSHD
        command = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
        self.server = start(command, self.port, folder / "log", {})

    def connect(self, clone: Clone) -> None:
        modify = "dvc", "remote", "modify", "--local", "storage"
        address = f"{getpass.getuser()}@{LOOPBACK}:{self.port}"
        clone.run(*modify, "url", f"ssh://{address}{self.root}")
        clone.run(*modify, "keyfile", str(self.folder / "client_key"))

    def stop(self) -> None:
        end(self.server)

    def refuse(self, clone: Clone) -> None:
        key = str(self.folder / "stranger_key")
        clone.run("dvc", "remote", "modify", "--local", "storage", "keyfile", key)


@contextmanager
def started(kind: str, folder: Path) -> Iterator[Remote]:
    """Start a remote of a kind, `folder`, `s3` or `ssh`, and stop it in the end."""
    if kind == "ssh" and not SSHD:
        pytest.skip("no sshd on this machine: install openssh-server")
    if kind == "folder":
        yield Folder(folder / "home/mnist-pipeline-storage")
        return
    remote = S3(folder) if kind == "s3" else SSH(folder / "ssh")
    try:
        yield remote
    finally:
        remote.stop()

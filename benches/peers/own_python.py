"""Runs a script with packages from PyPI, in an environment of its own under the temporary directory."""
import os
import pathlib
import subprocess
import sys
import tempfile


def again_with(name, packages):
    """Installs them and starts the script anew with them; does not return."""
    venv = pathlib.Path(tempfile.gettempdir()) / name
    python = venv / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    os.execv(python, [str(python), *sys.argv])

"""``python editable.py PROJECT -o OUTPUT``: an editable wheel by the library of ``build``.

``python -m build`` has no such option; this is run by the Python that has ``build``.
"""

import sys

from build import ProjectBuilder
from build.env import DefaultIsolatedEnv


def main(project: str, _: str, output: str) -> None:
    """Build as an installer that embeds ``build`` would."""
    with DefaultIsolatedEnv(installer="uv") as env:
        builder = ProjectBuilder.from_isolated_env(env, project)
        env.install(builder.build_system_requires)
        env.install(builder.get_requires_for_build("editable"))
        builder.build("editable", output)


if __name__ == "__main__":
    main(*sys.argv[1:])

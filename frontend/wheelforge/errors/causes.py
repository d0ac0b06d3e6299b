"""Why a hook has failed, where its output tells."""

from __future__ import annotations

from wheelforge.errors.backend import BackendFailedError, how_to_require


class HeaderMissingError(BackendFailedError):
    """The compiler wants a header that is not there."""

    code = "header-missing"

    @property
    def cause(self) -> str:
        return f"the header `{self.finding}` is missing"

    @property
    def hint(self) -> str:
        if self.remedy:
            return f"install {self.remedy}"
        return (
            "install the development files of what has it, unless it is the project's own: "
            f"`apt-file search {self.finding}` or `dnf provides '*/{self.finding}'` tells"
        )


class LibraryMissingError(BackendFailedError):
    """A library to link with is not there."""

    code = "library-missing"

    @property
    def cause(self) -> str:
        return f"the library `{self.finding}` is missing"

    @property
    def hint(self) -> str:
        return f"install {self.remedy or 'its development files'}"


class ToolMissingError(BackendFailedError):
    """A compiler, or another program, is not there."""

    code = "tool-missing"

    @property
    def cause(self) -> str:
        return f"it needs `{self.finding}`, which was not found"

    @property
    def hint(self) -> str:
        return f"install {self.remedy or 'it, and see that it is on PATH'}"


class ModuleMissingError(BackendFailedError):
    """A Python module is imported that nobody has asked for."""

    code = "module-missing"

    @property
    def cause(self) -> str:
        return f"the Python module `{self.finding}` is missing"

    @property
    def hint(self) -> str:
        return (
            f"{how_to_require(self.finding, self.remedy)}; if you cannot change the project, "
            "install its requirements and this one, and build with `--no-isolation`"
        )


class RemovedFromPythonError(BackendFailedError):
    """Something is used that Python had once."""

    code = "removed-from-python"

    @property
    def cause(self) -> str:
        return f"it uses `{self.finding}`, which newer Pythons do not have"

    @property
    def hint(self) -> str:
        older = f", or build with `--python {self.remedy}`" if self.remedy else ""
        return f"look for a newer version of it{older}"


class RequirementTooNewError(BackendFailedError):
    """Something is used that an older setuptools, or another requirement, had."""

    code = "requirement-too-new"

    @property
    def cause(self) -> str:
        library = self.remedy.partition("<")[0]
        return f"it relies on `{self.finding}`, which a newer `{library}` does not accept"

    @property
    def hint(self) -> str:
        line = f"`{self.remedy}`" if "<" in self.remedy else f"an older `{self.remedy}`"
        return (
            "build with what there was when it was published, `--era always`, "
            f"or ask for {line} in a file for `--build-constraint`"
        )


class BuildDiskFullError(BackendFailedError):
    """There was no room for what the build writes."""

    code = "build-disk-full"

    @property
    def cause(self) -> str:
        return "there is no room on the disk"

    @property
    def hint(self) -> str:
        return "make room, or name another place with `--cache-dir` or `TMPDIR`"


class BuildMemoryError(BackendFailedError):
    """There was too little memory, or something that looks like that."""

    code = "build-out-of-memory"

    @property
    def cause(self) -> str:
        if self.finding:
            return f"it was ended by {self.finding}, most often a sign of too little memory"
        return "there was too little memory"

    @property
    def hint(self) -> str:
        return (
            "let it do less at once; many builds heed `MAX_JOBS=1`, "
            "`CMAKE_BUILD_PARALLEL_LEVEL=1` or `CARGO_BUILD_JOBS=1`"
        )


class BuildNetworkError(BackendFailedError):
    """The build wants something from the network by itself."""

    code = "build-network"

    @property
    def cause(self) -> str:
        where = f"`{self.finding}`" if self.finding else "the network"
        return f"it could not reach {where}"

    @property
    def hint(self) -> str:
        return "see that this machine can: what a build fetches by itself comes from no index"


class BuildAccessError(BackendFailedError):
    """The operating system has refused something to the build."""

    code = "build-access"

    @property
    def cause(self) -> str:
        what = f" to `{self.finding}`" if self.finding else ""
        return f"it was refused access{what}"

    @property
    def hint(self) -> str:
        return "whose file is that? A build has to write in its own directories only"


class BuildCrashedError(BackendFailedError):
    """A signal has ended the process of the hook, or one below it."""

    code = "build-crashed"

    @property
    def cause(self) -> str:
        return f"it was ended by {self.finding}"


class VersionUnknownError(BackendFailedError):
    """The version would come from version control, and there is none."""

    code = "version-unknown"

    @property
    def cause(self) -> str:
        return f"`{self.finding}` finds no version control that tells its version"

    @property
    def hint(self) -> str:
        return f"build its sdist, or state the version: `{self.remedy}=1.0` in the environment"


class PythonTwoError(BackendFailedError):
    """It is code of another age."""

    code = "python-two"

    @property
    def cause(self) -> str:
        return f"it is written for Python 2 ({self.finding})"

    @property
    def hint(self) -> str:
        return "look for a newer version of it, or for what has replaced it"


class PythonRefusedError(BackendFailedError):
    """The project does not want to be built with this Python."""

    code = "python-refused"

    @property
    def cause(self) -> str:
        return f"it refuses this Python ({self.finding})"

    @property
    def hint(self) -> str:
        more = f", or try `{self.remedy}` in the environment" if self.remedy else ""
        return f"build with another one: `--python`{more}"

"""The things that builds miss: the packages that have them, and the last versions that did."""

from __future__ import annotations

_DEBIAN = {
    "build-essential": "cc gcc c++ g++ make stdc++",
    "bison": "bison",
    "cargo": "cargo rustc",
    "ccache": "ccache",
    "clang": "clang clang++",
    "cmake": "cmake",
    "default-libmysqlclient-dev": "mysql.h mysql/ mysqlclient mysql_config mariadb mariadb_config",
    "flex": "flex",
    "gfortran": "gfortran f77 f90 f95",
    "git": "git",
    "libblas-dev": "blas cblas cblas.h",
    "libbz2-dev": "bzlib.h bz2",
    "libcairo2-dev": "cairo.h cairo cairo/",
    "libcups2-dev": "cups/ cups cups-config",
    "libcurl4-openssl-dev": "curl/ curl libcurl curl-config",
    "libdbus-1-dev": "dbus/ dbus-1",
    "libevent-dev": "event2/ event libevent",
    "libffi-dev": "ffi.h ffi libffi",
    "libfreetype-dev": "ft2build.h freetype freetype2 freetype-config",
    "libfuse-dev": "fuse.h fuse",
    "libgdal-dev": "gdal.h gdal gdal-config",
    "libgeos-dev": "geos_c.h geos_c geos geos-config",
    "libgirepository1.0-dev": "girepository.h gobject-introspection-1.0",
    "libgl-dev": "GL/ GL OpenGL",
    "libglib2.0-dev": "glib.h glib/ glib-2.0 gobject-2.0",
    "libgmp-dev": "gmp.h gmp",
    "libgraphviz-dev": "graphviz/ cgraph cdt",
    "libhdf5-dev": "hdf5.h hdf5 HDF5",
    "libjpeg-dev": "jpeglib.h jpeg libjpeg",
    "libkrb5-dev": "gssapi/ gssapi.h krb5.h krb5 gssapi_krb5 krb5-config",
    "liblapack-dev": "lapack lapacke.h lapacke",
    "libldap-dev": "ldap.h lber.h ldap lber",
    "liblz4-dev": "lz4.h lz4 liblz4",
    "liblzma-dev": "lzma.h lzma liblzma",
    "libmagic-dev": "magic.h magic",
    "libmemcached-dev": "libmemcached/ memcached",
    "libmpc-dev": "mpc.h mpc",
    "libmpfr-dev": "mpfr.h mpfr",
    "libncurses-dev": "ncurses.h curses.h ncurses ncursesw curses tinfo",
    "libnetcdf-dev": "netcdf.h netcdf nc-config",
    "libopenblas-dev": "openblas openblas_config.h",
    "libopenmpi-dev": "mpi.h mpi mpicc MPI",
    "libpcap-dev": "pcap.h pcap pcap-config",
    "libpcre2-dev": "pcre2.h pcre2-8",
    "libpng-dev": "png.h png libpng libpng-config",
    "libpq-dev": "libpq-fe.h pq libpq pg_config PostgreSQL",
    "libproj-dev": "proj.h proj",
    "libreadline-dev": "readline/ readline",
    "libsasl2-dev": "sasl/ sasl.h sasl2",
    "libsdl2-dev": "SDL2/ SDL2 sdl2-config",
    "libsndfile1-dev": "sndfile.h sndfile",
    "libsodium-dev": "sodium.h sodium libsodium",
    "libsqlite3-dev": "sqlite3.h sqlite3 SQLite3",
    "libssl-dev": "openssl/ ssl crypto openssl libssl libcrypto",
    "libsystemd-dev": "systemd/ systemd libsystemd",
    "libtiff-dev": "tiffio.h tiff.h tiff libtiff-4",
    "libusb-1.0-0-dev": "libusb.h libusb-1.0/ usb-1.0 libusb-1.0",
    "libuv1-dev": "uv.h uv libuv",
    "libwebp-dev": "webp/ webp libwebp",
    "libxml2-dev": "libxml/ xml2 libxml2 libxml-2.0 xml2-config",
    "libxmlsec1-dev": "xmlsec/ xmlsec1",
    "libxslt1-dev": "libxslt/ libexslt/ xslt exslt libxslt xslt-config",
    "libyaml-dev": "yaml.h yaml",
    "libzmq3-dev": "zmq.h zmq libzmq",
    "libzstd-dev": "zstd.h zstd libzstd",
    "llvm-dev": "llvm-config llvm llvm-c/",
    "ninja-build": "ninja",
    "nodejs": "node",
    "npm": "npm",
    "nvidia-cuda-toolkit": "nvcc cuda.h cuda_runtime.h cudart",
    "patchelf": "patchelf",
    "pkgconf": "pkg-config pkgconf",
    "portaudio19-dev": "portaudio.h portaudio",
    "protobuf-compiler": "protoc",
    "python3-dev": "python.h pyconfig.h python python3 python3-embed",
    "sccache": "sccache",
    "swig": "swig",
    "unixodbc-dev": "sql.h sqlext.h odbc odbc_config",
    "yasm": "yasm",
    "zlib1g-dev": "zlib.h z zlib",
}
"""Headers (or their folder), libraries, the names pkg-config and cmake have for them, programs."""
_PACKAGES = {word.lower(): package for package, words in _DEBIAN.items() for word in words.split()}
_COMPILERS = ("gcc", "g++", "cc", "c++", "clang", "clang++", "gfortran")

_DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "Cython": "Cython",
    "PIL": "Pillow",
    "cffi": "cffi",
    "cmake": "cmake",
    "extension_helpers": "extension-helpers",
    "flit_core": "flit-core",
    "flit_scm": "flit-scm",
    "hatch_vcs": "hatch-vcs",
    "hatchling": "hatchling",
    "jinja2": "Jinja2",
    "maturin": "maturin",
    "mesonpy": "meson-python",
    "numpy": "numpy",
    "packaging": "packaging",
    "pbr": "pbr",
    "pdm": "pdm-backend",
    "pip": "pip",
    "pkgconfig": "pkgconfig",
    "poetry": "poetry-core",
    "psutil": "psutil",
    "pybind11": "pybind11",
    "requests": "requests",
    "scikit_build_core": "scikit-build-core",
    "scipy": "scipy",
    "setuptools": "setuptools",
    "setuptools_rust": "setuptools-rust",
    "setuptools_scm": "setuptools-scm",
    "six": "six",
    "skbuild": "scikit-build",
    "torch": "torch",
    "wheel": "wheel",
    "yaml": "PyYAML",
}
"""Which distribution has a module; only where it is no guess."""

_PYTHON_HAD = {
    "3.13": "ast.Bytes ast.Ellipsis ast.NameConstant ast.Num ast.Str importlib.abc.ResourceReader"
    " pkgutil.find_loader pkgutil.get_loader",
    "3.12": "aifc audioop cgi cgitb chunk crypt imghdr lib2to3 locale.resetlocale mailcap msilib"
    " nis nntplib ossaudiodev pipes sndhdr spwd sunau telnetlib unittest.makeSuite uu xdrlib",
    "3.11": "asynchat asyncore configparser.SafeConfigParser distutils imp importlib.find_loader"
    " numpy.distutils pkgutil.ImpImporter pkgutil.ImpLoader smtpd ssl.wrap_socket",
    "3.10": "cellobject.h classobject.h funcobject.h genobject.h longintrepr.h namespaceobject.h"
    " pystrhex.h asyncio.coroutine binhex inspect.formatargspec inspect.getargspec",
    "3.9": "Python-ast.h asdl.h bitset.h graminit.h odictobject.h parsetok.h picklebufobject.h"
    " pyarena.h pyctype.h pyfpe.h ucnhash.h collections.Callable collections.Iterable"
    " collections.Iterator collections.Mapping collections.MutableMapping"
    " collections.MutableSequence collections.MutableSet collections.Sequence collections.Set"
    " formatter parser symbol",
    "": "base64.encodestring fractions.gcd platform.dist platform.linux_distribution time.clock",
}
"""The last version that had it, as far back as builds go."""
_LAST_PYTHON = {name: last for last, names in _PYTHON_HAD.items() for name in names.split()}

_REQUIREMENTS_HAD = {
    "pkg_resources": "setuptools<82",
    "distutils.msvccompiler": "setuptools<74",
    "numpy.bool": "numpy<1.24",
    "numpy.float": "numpy<1.24",
    "numpy.int": "numpy<1.24",
    "numpy.object": "numpy<1.24",
    "setuptools.Feature": "setuptools<46",
    "wheel.bdist_wheel": "wheel<0.46",
}
"""Below which version another requirement has it."""
_PYTHON_TWO = frozenset({
    "ConfigParser",
    "HTMLParser",
    "Queue",
    "StringIO",
    "Tkinter",
    "__builtin__",
    "cPickle",
    "cStringIO",
    "commands",
    "cookielib",
    "httplib",
    "urllib2",
    "urlparse",
})


def suggest_package(name: str) -> str:
    """Return what Debian has ``name`` in, in words, or nothing."""
    folder, slash, _ = name.lower().partition("/")
    package = _PACKAGES.get(name.lower()) or _PACKAGES.get(folder + slash if slash else "", "")
    if package == "python3-dev":
        return "the development files of this Python (`python3-dev` on Debian and Ubuntu)"
    return f"`{package}` (so it is called on Debian and Ubuntu)" if package else ""


def is_tool(name: str) -> bool:
    """Return whether ``name`` is that of a program that builds call."""
    known = name.lower() in _PACKAGES and "." not in name
    return known or name.endswith(_COMPILERS)  # cross compilers have long names


def find_distribution(module: str) -> str:
    """Return the distribution that has ``module``, or nothing where that is not known."""
    return _DISTRIBUTIONS.get(module.partition(".")[0], "")


def find_last_python(name: str) -> str | None:
    """Return the last Python that had ``name``, nothing for one too old; ``None`` if all have."""
    return _LAST_PYTHON.get(name)


def find_older(name: str) -> str:
    """Return the requirement that still has ``name``, or nothing."""
    top, dot, _ = name.partition(".")
    if top in {"setuptools", "distutils"} and dot:
        return _REQUIREMENTS_HAD.get(name, "setuptools")
    return _REQUIREMENTS_HAD.get(name) or _REQUIREMENTS_HAD.get(top, "")


def is_python_two(module: str) -> bool:
    """Return whether only Python 2 has ``module``."""
    return module in _PYTHON_TWO

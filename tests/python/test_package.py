"""The package as such: what it names, says and states of types."""
import ast
import inspect
import pathlib
import pydoc
import re
import shutil
import subprocess

import pytest

import avstore
from avstore import _native
from conftest import ROOT, python

PACKAGE = pathlib.Path(avstore.__file__).parent


def public_functions():
    for name in avstore.__all__:
        thing = getattr(avstore, name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing) and thing.__module__.startswith("avstore"):
            for member, function in vars(thing).items():
                if not member.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
                    yield f"{name}.{member}", function


def test_all_that_is_public_is_documented():
    assert [name for name, thing in public_functions() if not inspect.getdoc(thing)] == []
    assert [name for name in avstore.__all__ if not inspect.getdoc(getattr(avstore, name))] == []
    text = pydoc.plain(pydoc.render_doc(avstore))
    # Python 3.13 breaks a long signature into lines.
    assert "any frame, exactly, at once" in text and re.search(r"\bcreate\(\s*path", text)


def fields_of(thing):
    """What a class holds, besides properties, which have docstrings of their own."""
    classes = [each for each in thing.__mro__ if each.__module__.startswith("avstore")]
    stated = [name for each in classes for name in vars(each).get("__annotations__", {})]
    return [name for name in stated if not name.startswith("_")]


def test_fields_are_documented():
    """Where help() shows them: in the class's docstring, each with what it means."""
    classes = [thing for thing in map(avstore.__dict__.get, avstore.__all__) if inspect.isclass(thing)]
    assert len([thing for thing in classes if fields_of(thing)]) > 12
    missing = {f"{thing.__name__}.{name}" for thing in classes for name in fields_of(thing)
               if not re.search(rf"(^|\W){name}(, \w+)*: \S", inspect.getdoc(thing) or "")}
    assert missing == set()


def test_options_are_stated():
    for function in (avstore.create, avstore.append, avstore.transcode, avstore.import_video, avstore.export):
        assert "Unpack" in function.__annotations__["options"]
        assert "options" in inspect.getdoc(function).lower()


def test_types_are_stated():
    """Of all that is public, in the sources; the extension module has its stub."""
    assert (PACKAGE / "py.typed").exists()
    for name, thing in public_functions():
        function = inspect.unwrap(thing.fget if isinstance(thing, property) else thing)
        missing = [each for each in inspect.signature(function).parameters if each != "self" and each not in function.__annotations__]
        assert not missing and "return" in function.__annotations__, name
    stub = ast.parse((PACKAGE / "_native.pyi").read_text(encoding="utf-8"))
    stated = {node.name: node for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"}
    there = {name for name in dir(_native) if not name.startswith("_")}
    assert set(stated) == there
    for name, node in stated.items():
        if isinstance(node, ast.ClassDef):
            members = {each.name for each in node.body}
            assert members - {"__init__"} == {each for each in dir(getattr(_native, name)) if not each.startswith("_")}


@pytest.mark.skipif(shutil.which("mypy") is None, reason="mypy is not installed")
def test_mypy_finds_nothing():
    run = subprocess.run(["mypy", "--ignore-missing-imports", "--enable-incomplete-feature=Unpack",
                          f"--cache-dir={PACKAGE.parent / 'mypy-cache'}", str(PACKAGE)],
                         check=False, text=True, stdout=subprocess.PIPE)
    assert run.returncode == 0, run.stdout


def test_optional_packages_are_not_imported():
    modules = python("import sys, avstore; print(*sorted({name.split('.')[0] for name in sys.modules}))").split()
    assert not {"pandas", "dask", "xarray", "distributed", "matplotlib"} & set(modules)


def test_the_build_folder_has_the_sources():
    for source in (ROOT / "lib/python/avstore").rglob("*.py*"):
        if "__pycache__" not in source.parts:
            built = PACKAGE / source.relative_to(ROOT / "lib/python/avstore")
            assert built.read_bytes() == source.read_bytes(), source

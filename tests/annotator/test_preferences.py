"""Against napari's own settings of plugins, made from our manifest; no file of the user is read or written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("napari")
pytest.importorskip("npe2")

import npe2
from napari import settings as napari_settings

import napari_segnext
from napari_segnext._disk_cache import disk_cache_in_use
from napari_segnext.annotator.preferences import Preferences, apply_preferences, read_preferences
from napari_segnext.weights import list_models, prefer_weights_folder, weights_folder
from napari_segnext.weights.folder import HOME_VARIABLE

MANIFEST = Path(napari_segnext.__file__).parent / "napari.yaml"
needs_plugin_settings = pytest.mark.skipif(
    not hasattr(napari_settings, "get_plugin_settings"), reason="napari before 0.9 has no preferences of plugins"
)


@pytest.fixture(autouse=True)
def no_preferred_folder(monkeypatch):
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    yield
    prefer_weights_folder(None)


@pytest.fixture
def settings(request):
    """What the page of the preferences writes into."""
    if not hasattr(napari_settings, "get_plugin_settings"):
        pytest.skip("napari before 0.9 has no preferences of plugins")
    request.getfixturevalue("plugin_settings")
    manager = request.getfixturevalue("npe2pm")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    if manifest.name not in manager:
        manager.register(manifest)
    return napari_settings.get_plugin_settings("napari-segnext")


def test_defaults_of_the_manifest_are_those_of_the_library(settings):
    assert read_preferences() == Preferences()


def test_every_setting_reaches_the_reader_of_preferences(settings, tmp_path):
    settings.models.device = "cpu"
    settings.models.default_model = "segnext-vitb-sax2"
    settings.models.weights_folder = str(tmp_path / "weights")
    settings.accepting.overlap = "ask"
    settings.autosave.is_on = False
    settings.autosave.folder = str(tmp_path / "saved")
    settings.autosave.interval_s = 300
    settings.embeddings.folder = str(tmp_path / "embeddings")
    settings.embeddings.max_gb = 3
    changed = read_preferences()
    assert changed == Preferences(
        device="cpu",
        default_model="segnext-vitb-sax2",
        weights_folder=tmp_path / "weights",
        overlap="ask",
        is_autosave_on=False,
        autosave_folder=tmp_path / "saved",
        autosave_interval_s=300,
        cache_folder=tmp_path / "embeddings",
        cache_gb=3,
    )
    assert not set(asdict(changed).items()) & set(asdict(Preferences()).items()), "a setting was left out above"


def test_there_is_a_setting_for_every_preference_and_none_besides(settings):
    n_settings = sum(len(category) for category in settings.model_dump().values() if isinstance(category, dict))
    assert n_settings == len(asdict(Preferences()))


def test_napari_keeps_them_in_a_file_of_the_plugin(settings, tmp_path):
    settings.autosave.interval_s = 90
    assert "interval_s: 90" in (tmp_path / "napari-segnext.yaml").read_text()


@pytest.mark.parametrize(
    ("category", "name", "value"),
    [("models", "device", "tpu"), ("accepting", "overlap", "mix"), ("autosave", "interval_s", 0)],
)
def test_values_that_make_no_sense_are_refused(category, name, value, settings):
    with pytest.raises(ValueError, match=name):
        setattr(getattr(settings, category), name, value)
    assert read_preferences() == Preferences()


def test_blank_texts_stand_for_the_defaults(settings):
    settings.models.default_model = settings.models.weights_folder = settings.autosave.folder = "  "
    assert read_preferences() == Preferences()


def test_folder_may_begin_with_the_sign_of_the_home_folder(settings):
    settings.autosave.folder = "~/saved"
    assert read_preferences().autosave_folder == Path.home() / "saved"


@needs_plugin_settings
def test_plugin_that_napari_does_not_know_has_the_defaults(plugin_settings, npe2pm):
    assert read_preferences() == Preferences()


def test_napari_without_preferences_of_plugins_has_the_defaults(monkeypatch):
    monkeypatch.delattr(napari_settings, "get_plugin_settings", raising=False)
    assert read_preferences() == Preferences()


def test_default_model_is_one_that_comes_with_the_plugin():
    bundled = [info.name for info in list_models() if info.state == "bundled"]
    assert Preferences().default_model in bundled


class TestApplying:
    def test_weights_are_looked_for_in_the_folder_that_was_set(self, settings, tmp_path):
        settings.models.weights_folder = str(tmp_path / "weights")
        apply_preferences()
        assert weights_folder() == tmp_path / "weights"

    def test_an_emptied_folder_goes_back_to_the_cache_of_the_system(self, settings, tmp_path):
        before = weights_folder()
        settings.models.weights_folder = str(tmp_path / "weights")
        apply_preferences()
        settings.models.weights_folder = ""
        apply_preferences()
        assert weights_folder() == before

    def test_environment_goes_before_preferences(self, settings, tmp_path, monkeypatch):
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
        settings.models.weights_folder = str(tmp_path / "weights")
        apply_preferences()
        assert weights_folder() == tmp_path / "home" / "weights"


class TestDiskCache:
    @pytest.fixture(autouse=True)
    def no_size_in_the_environment(self, monkeypatch):
        for name in ("NAPARI_SEGNEXT_CACHE", "NAPARI_SEGNEXT_CACHE_GB"):
            monkeypatch.delenv(name, raising=False)

    def test_embeddings_are_kept_where_and_as_many_as_was_set(self, settings, tmp_path):
        settings.embeddings.folder = str(tmp_path / "embeddings")
        settings.embeddings.max_gb = 3
        apply_preferences()
        assert (disk_cache_in_use().folder, disk_cache_in_use().max_bytes) == (tmp_path / "embeddings", 3 * 10**9)

    def test_size_0_keeps_them_in_memory_only(self, settings):
        apply_preferences()
        assert disk_cache_in_use() is not None
        settings.embeddings.max_gb = 0
        apply_preferences()
        assert disk_cache_in_use() is None

    def test_environment_goes_before_what_was_set(self, settings, tmp_path, monkeypatch):
        settings.embeddings.folder = str(tmp_path / "set")
        monkeypatch.setenv("NAPARI_SEGNEXT_CACHE", str(tmp_path / "environment"))
        monkeypatch.setenv("NAPARI_SEGNEXT_CACHE_GB", "0.5")
        apply_preferences()
        assert disk_cache_in_use().folder == tmp_path / "environment"
        assert disk_cache_in_use().max_bytes == 5 * 10**8

    def test_folder_that_cannot_be_used_is_shown_in_napari(self, settings, tmp_path, monkeypatch):
        shown = []
        monkeypatch.setattr("napari.utils.notifications.show_warning", shown.append)
        apply_preferences()
        disk_cache_in_use().on_problem("the disk is full")
        assert shown == ["the disk is full"]

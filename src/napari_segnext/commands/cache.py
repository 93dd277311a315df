"""`cache show / clear`: what is kept on disk of images that were encoded."""

from typing import TYPE_CHECKING, Annotated

import typer

from napari_segnext.commands.exits import CommandError
from napari_segnext.commands.options import CacheFolder, CacheSize

if TYPE_CHECKING:
    from napari_segnext.session import EmbeddingStore

cache = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Image embeddings kept on disk: how much there is, and how to be rid of it.",
    add_completion=False,
)


@cache.command()
def show(cache_folder: CacheFolder = None, cache_size: CacheSize = None) -> None:
    """Show where image embeddings are kept, and how much they take."""
    store = _store(cache_folder, cache_size)
    typer.echo(f"folder:  {store.folder}")
    typer.echo(f"entries: {len(store)}")
    typer.echo(f"size:    {store.n_bytes / 1e9:.2f} of {store.max_bytes / 1e9:g} GB")


@cache.command()
def clear(
    cache_folder: CacheFolder = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete all image embeddings that are kept on disk; they are computed anew when they are needed."""
    store = _store(cache_folder, None)
    n_entries, n_bytes = len(store), store.n_bytes
    if n_entries and not yes:
        question = f"Delete {n_entries} entries ({n_bytes / 1e9:.2f} GB) in '{store.folder}'?"
        try:
            is_agreed = typer.confirm(question)
        except typer.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise
            raise CommandError(
                f"nobody answered '{question}'; expected y or n. Add --yes to delete unasked."
            ) from error
        if not is_agreed:
            typer.echo("nothing was deleted")
            return
    n_deleted, n_freed = store.clear()
    typer.echo(f"deleted {n_deleted} entries ({n_freed / 1e9:.2f} GB) in '{store.folder}'")


def _store(cache_folder: CacheFolder, cache_size: CacheSize) -> "EmbeddingStore":
    from napari_segnext._disk_cache import disk_cache_settings
    from napari_segnext.session import EmbeddingStore

    settings = disk_cache_settings(cache_folder, cache_size)
    if settings is None:
        raise CommandError(
            "the size of the cache is 0 GB, so none is kept; expected a size. Give one with --cache-size."
        )
    return EmbeddingStore.of(settings)

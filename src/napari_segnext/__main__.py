"""`python -m napari_segnext` is the command line."""

from napari_segnext.commands import main

if __name__ == "__main__":
    main()

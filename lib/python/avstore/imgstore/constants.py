"""Names of the files and keys in a store."""

STORE_MD_KEY = "__store"  #: of the store's own metadata in metadata.yaml
STORE_MD_FILENAME = "metadata.yaml"
STORE_LOCK_FILENAME = ".lock"  #: exists while a store is being written
STORE_INDEX_FILENAME = ".index.sqlite"

#: What follows a chunk's number in the names of files of extra data.
EXTRA_DATA_FILE_EXTENSIONS = (".extra.json", ".extra_data.json", ".extra_data.h5")

#: What is known of every frame.
FRAME_MD = ("frame_number", "frame_time")

//! ISO 9660 with Joliet and Rock Ridge, and UDF: from a volume to files.

//! How a guest boots: its kernels, what their initramfs images hold, its boot loaders and their entries.
//!
//! Everything is read from the files of a [`h2k_guest::Tree`] by a [`h2k_guest::Look`]; nothing is run.

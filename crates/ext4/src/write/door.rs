//! [`FsRead`](h2k_fs::FsRead) and [`FsWrite`](h2k_fs::FsWrite) for [`Ext4Writer`].

use super::Ext4Writer;

h2k_fs::writer_door!(Ext4Writer);

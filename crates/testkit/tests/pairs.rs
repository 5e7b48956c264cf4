//! Every writer, judged by qemu-img and by our own readers.

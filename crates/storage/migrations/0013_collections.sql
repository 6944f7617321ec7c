-- Named collections of devices. The key is the name in small letters: case does not count.
CREATE TABLE collections (
    key TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);

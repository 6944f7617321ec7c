-- TUF metadata, as it was signed: every root, and of the other roles what may still be asked for.
CREATE TABLE trust_documents (
    role TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (role, version)
);

//! Master files: text to records, judged as a primary server judges them.

// State that is built from a log: `tidemark/machine`.
export {}

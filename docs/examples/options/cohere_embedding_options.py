from llmring import CohereEmbeddingOptions, EmbeddingOptions

# For `ring.embed("cohere:embed-v4.0", texts, options)`.
options = EmbeddingOptions(
    input_type="query",
    truncate="none",
    provider_options=CohereEmbeddingOptions(max_tokens=4096, priority=10),
)
print(options.provider_options)

"""The protoc plugin: from the contract to Python tables and the OpenAPI document."""
